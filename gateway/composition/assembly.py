"""The other half of the composition root: puts together what ``backbone serve`` runs from what the factory makes.

Heavy modules are imported by the function that needs them, so that a process pays only for its own roles.
"""

from __future__ import annotations

import logging
import os
import secrets
import socket
from collections.abc import AsyncIterator, Callable, Collection
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from gateway.composition.clock import warn
from gateway.composition.factory import Factory, now
from gateway.serving.listen import listen, resolve
from gateway.serving.locks import is_for_everybody
from gateway.serving.serve import Role
from schemas.errors import SettingsError

if TYPE_CHECKING:
    from consumers.following.runner import Runner
    from gateway.composition.doors import Doors
    from gateway.serving.part import ServerPart
    from gateway.settings.shapes import Address, Settings


LOGGER = logging.getLogger("backbone.gateway")

OPEN = "there is no access control: whoever reaches this address can read every timeline and send anything"
"""Said at every start, and by the doctor, about a door that listens beyond loopback."""
FOR_EVERYBODY = "every user of this machine may look into {}"
"""Said at every start, and by the doctor, about a data folder that existed already with such permissions."""


def open_doors(settings: Settings, roles: Collection[Role] = frozenset(Role)) -> list[str]:
    """The doors of these roles that other machines may reach, as ``http 0.0.0.0:8080``. Raises what `resolve` does."""
    doors = [(Role.GATEWAY, "http", settings.http), (Role.INTAKE, "mllp", settings.mllp)]
    return [
        f"{door} {address}"
        for role, door, address in doors
        if role in roles and resolve(door, address, beyond_loopback=settings.listen_beyond_loopback).beyond_loopback
    ]


def health_is_open(settings: Settings) -> bool:
    """Whether other machines may ask for health and metrics. Raises what `resolve` does."""
    return settings.health is not None and (
        resolve("health", settings.health, beyond_loopback=settings.listen_beyond_loopback).beyond_loopback
    )


async def parts(make: Factory, roles: Collection[Role], read: Callable[[], Settings] | None = None) -> list[ServerPart]:
    """The parts of a server with these roles. Raises `SettingsError` when they leave it nothing to do.

    ``read`` reads the settings as they now are, so that changes are picked up; without it they are never read again.

    Warns at every start about each door that other machines can reach, as there is no access control yet, about a data folder
    that other users of this machine can look into, and about a clock that is apart from the log's.
    """
    made: list[ServerPart] = []
    if Role.GATEWAY in roles:
        made += [await _http(make), _ledger(make)]
    doors = await _doors(make) if Role.INTAKE in roles else None
    if doors is not None:
        made += doors.parts
    if Role.PROJECTIONS in roles:
        made.append(_projections(make))
    if made and make.settings.health is not None:
        made.append(await _operators(make, make.settings.health, roles))
    if not made:
        cure = "Name another role beside it: what delivers to subscribers is not part of this version."
        raise SettingsError("a server of this role has nothing to do", where="--only", cure=cure)
    taking_in = bool({Role.GATEWAY, Role.INTAKE} & set(roles))
    make.metrics.look((await make.log()).trouble if taking_in else None, make.settings.engine_folders)
    if read is not None:
        made.append(_settings(make, roles, doors, read))
    await _warn(make, roles, taking_in)
    return made


async def _warn(make: Factory, roles: Collection[Role], taking_in: bool) -> None:
    """Say what works and should not stay so."""
    for door in open_doors(make.settings, roles):
        LOGGER.warning("%s: %s", door, OPEN)
    for folder in sorted(make.settings.kept_in):
        if is_for_everybody(folder):
            LOGGER.warning("%s: chmod 700 %s", FOR_EVERYBODY.format(folder), folder)
    if taking_in:
        await warn(await make.log(), None, now())


async def _http(make: Factory) -> ServerPart:
    from gateway.app import create_app
    from gateway.serving.http import HttpPart

    settings = make.settings
    bound = listen("http", settings.http, beyond_loopback=settings.listen_beyond_loopback)
    services = await make.services()
    return HttpPart(create_app(services), bound, settings.limits, services.freshness, services.stopping)


def _ledger(make: Factory) -> ServerPart:
    from gateway.serving.ledger import LedgerPart

    make.metrics.look_at_ledger(lambda: make.ledger.trouble)
    return LedgerPart(make.ledger.open)


async def _operators(make: Factory, address: Address, roles: Collection[Role]) -> ServerPart:
    """``/health`` and ``/metrics`` on an address of their own. A process that only takes in does not query the store."""
    from gateway.app import create_operators_app
    from gateway.http.host_names import host_names
    from gateway.serving.http import HttpPart
    from gateway.uses.services import Operated

    settings, reads = make.settings, bool({Role.GATEWAY, Role.PROJECTIONS} & set(roles))
    bound = listen("health", address, beyond_loopback=settings.listen_beyond_loopback)
    freshness = await make.freshness() if reads else None
    operated = Operated(
        log=await make.log(),
        metrics=make.metrics,
        taking_in=bool({Role.GATEWAY, Role.INTAKE} & set(roles)),
        store=make.store_answers if reads else None,
        ledger=make.ledger_answers if Role.GATEWAY in roles else None,
        freshness=freshness,
        folders=settings.engine_folders,
    )
    measured_here = None if Role.GATEWAY in roles else freshness
    app = create_operators_app(operated, host_names(settings, address))
    return HttpPart(app, bound, settings.limits, measured_here, name="health")


async def _doors(make: Factory) -> Doors:
    from gateway.composition.doors import Doors

    return Doors(make, await make.intake())


def _projections(make: Factory) -> ServerPart:
    from gateway.serving.projections import ProjectionsPart

    return ProjectionsPart([projection.name for projection in make.projections()], lambda: _runners(make))


@asynccontextmanager
async def _runners(make: Factory) -> AsyncIterator[list[Runner]]:
    """The projections' runners, on the event loop that asks for them, which gets engines of its own."""
    from consumers.following.projecting import projecting
    from consumers.models import migrate
    from consumers.store.origin import remember

    # The embedded log is of any thread, and wakes its followers at once: it is lent.
    lent = await make.log() if make.settings.log.embedded else None
    async with Factory(make.settings, log=lent, metrics=make.metrics, declared=make.declared) as there:
        await migrate(there.database)
        log, owner = await there.log(), _owner()
        await remember(there.database, log.identity)
        await warn(log, there.database, now())
        make.metrics.watch(there.database.pools)
        try:
            yield [projecting(there.projections(), log, there.database, owner, now, make.observer)]
        finally:
            make.metrics.unwatch(there.database.pools)


def _owner() -> str:
    """A name for this process among those that run the same projections, never used by another one."""
    return f"{socket.gethostname()}-{os.getpid()}-{secrets.token_hex(4)}"


def _settings(make: Factory, roles: Collection[Role], doors: Doors | None, read: Callable[[], Settings]) -> ServerPart:
    """The part that picks up sources changed while the server runs."""
    from gateway.composition.renewal import renew
    from gateway.serving.settings_watch import SettingsPart
    from gateway.settings.read import FILE_NAME

    reads = bool({Role.GATEWAY, Role.INTAKE} & set(roles))
    file = make.settings.file or Path(FILE_NAME).resolve()
    return SettingsPart(make.settings, file, read, lambda settings: renew(make, settings, doors, reads=reads), make.metrics)
