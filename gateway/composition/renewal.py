"""Puts changed sources into force in a running server, at every door and in every translator at once."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import TYPE_CHECKING

from gateway.composition.translators import translators
from gateway.serving.settings_watch import Renewed
from gateway.settings.shapes import Settings, SourceSettings

if TYPE_CHECKING:
    from adapters.translator import Translator
    from gateway.composition.doors import Doors
    from gateway.composition.factory import Factory
    from schemas.errors import MappingError


async def renew(make: Factory, settings: Settings, doors: Doors | None, *, reads: bool) -> Renewed:
    """Put the sources of ``settings`` into force. With ``reads`` this process takes in, and so needs their mappings.

    A source whose mapping has an error keeps its previous mapping; a new source stays undeclared.
    """
    sources, before = settings.sources, dict(make.declared)
    changed: set[str] = set()
    wrong: list[MappingError] = []
    if reads:
        own, wrong = await asyncio.to_thread(translators, sources)
        changed = _read_anew(make, own, sources)
        sources = {name: row for name, row in sources.items() if make.registry.own(name) is not None}
    # Nothing is awaited from `_read_anew` on: a source is in force at every door, or at none.
    make.declared.take(sources)
    if doors is not None:
        doors.renew()
    for name in before.keys() - sources.keys():
        make.metrics.retire(name)
    for name in sources.keys() - before.keys():
        make.metrics.declare(name, sources[name].doors)
    changed |= {name for name in before.keys() | sources.keys() if before.get(name) != sources.get(name)}
    return Renewed(sorted(changed), wrong)


def _read_anew(make: Factory, own: Mapping[str, Translator], sources: Mapping[str, SourceSettings]) -> set[str]:
    """Give the sources the translators in ``own``, or leave them their previous ones; ids of those whose mapping changed."""
    registry = make.registry
    kept = {name: before for name in sources if name not in own and (before := registry.own(name)) is not None}
    changed = {name for name, reader in own.items() if registry.own(name) is not reader}
    registry.renew({**own, **kept})
    return changed
