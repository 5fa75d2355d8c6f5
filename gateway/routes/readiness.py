"""Whether this process, and the server it belongs to, can do its work."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, NamedTuple, Protocol

from gateway.shapes import EngineHealth, Health, Works
from gateway.uses.services import Operated
from gateway.watching.disk_space import short
from schemas.errors import BackboneError, EngineUnavailable
from schemas.log import EVENTS

ANSWER_WITHIN_S = 2.0
"""How long an engine may take to answer before it counts as not reachable: supervisors ask again after 5 to 10 seconds."""
_LATE = f"It did not answer within {ANSWER_WITHIN_S:g} s. See that it runs; `backbone doctor` looks for the cause."

TAKING_IN, READING, EITHER = "taking-in", "reading", "either"
"""What has to work for a load balancer to send somebody here."""


class Trouble(Protocol):
    """What is wrong, and what to do about it."""

    @property
    def code(self) -> str: ...

    @property
    def cure(self) -> str: ...


class _Works(NamedTuple):
    """Each kind of readiness."""

    takes: bool
    reads: bool
    whole: bool

    def of(self, part: str) -> bool:
        return {TAKING_IN: self.takes, READING: self.reads, EITHER: self.takes or self.reads}.get(part, self.whole)


async def health_of(known: Operated, part: str = "") -> Health:
    """Whether ``part`` of the server works (empty: all of it), as this process and its siblings find it."""
    own, others = await asyncio.gather(own_health(known), known.siblings.unready() if known.siblings else _none())
    works = readiness(own)
    takes = works.takes and not others.get(TAKING_IN)
    reads = works.reads and not others.get(READING)
    ready = _Works(takes, reads, takes and reads and works.whole and not others.get("")).of(part)
    own.status = "ready" if ready else "not ready"
    own.not_ready = sorted({name for names in others.values() for name in names})
    return own


def readiness(own: Health) -> _Works:
    """What a process's own findings come to."""
    takes = own.log.reachable and (own.appends is None or own.appends.works)
    reads = own.log.reachable and (own.store is None or own.store.reachable)
    return _Works(takes, reads, takes and reads and own.disk.works)


async def findings(known: Operated) -> dict[str, bool]:
    """Kind of readiness (empty: as a whole) → whether this process alone gives it."""
    takes, reads, whole = readiness(await own_health(known))
    return {TAKING_IN: takes, READING: reads, "": whole}


async def own_health(known: Operated) -> Health:
    """What this process alone finds; what its status comes to is up to who asks."""
    log, store, ledger, appends, disk = await asyncio.gather(
        _reached(known.log.ends(EVENTS)),
        _reached(known.store()) if known.store is not None else _nothing(),
        _reached(known.ledger()) if known.ledger is not None else _nothing(),
        _works(known.log.trouble) if known.taking_in else _nothing(),
        _works(lambda: short(known.folders)),
    )
    return Health(
        status="not ready",
        log=log,
        appends=appends,
        disk=disk,
        store=store,
        ledger=ledger,
        taking_in=known.taking_in,
        behind=known.freshness.behind if known.freshness else {},
        parked=known.freshness.parked if known.freshness else {},
    )


async def _none() -> dict[str, list[str]]:
    return {}


async def _nothing() -> None:
    """What a process does not need is not asked."""


async def _works(look: Callable[[], Trouble | None]) -> Works:
    """What ``look`` finds, in a thread of its own: a disk that hangs must not hold up who asks."""
    try:
        async with asyncio.timeout(ANSWER_WITHIN_S):
            found = await asyncio.to_thread(look)
    except TimeoutError:
        return Works(works=False, code=EngineUnavailable.code, cure=_LATE)
    return Works(works=True) if found is None else Works(works=False, code=found.code, cure=found.cure)


async def _reached(asking: Awaitable[Any]) -> EngineHealth:
    try:
        async with asyncio.timeout(ANSWER_WITHIN_S):
            await asking
    except TimeoutError:
        return EngineHealth(reachable=False, code=EngineUnavailable.code, cure=_LATE)
    except BackboneError as error:
        return EngineHealth(reachable=False, code=error.code, cure=error.cure)
    return EngineHealth(reachable=True)
