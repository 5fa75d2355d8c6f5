"""The other half of the composition root: puts together what ``backbone serve`` runs from what the factory makes.

Heavy modules are imported by the function that needs them, so that a process pays only for its own roles.
"""

from __future__ import annotations

import logging
import os
import secrets
import socket
from collections.abc import AsyncIterator, Callable, Collection, Iterator, Sequence, Set
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from gateway.composition.clock import warn
from gateway.composition.factory import Factory, now
from gateway.processes.split import DOORS, READERS, Beside, Role, Seat
from gateway.serving.listen import Bound, address_of, listen_side_by_side, resolve
from gateway.serving.locks import is_for_everybody

if TYPE_CHECKING:
    from consumers.following.runner import Runner
    from gateway.composition.doors import Doors
    from gateway.processes.siblings import Siblings
    from gateway.serving.part import ServerPart
    from gateway.settings.shapes import Settings
    from gateway.settings.values import Address
    from gateway.uses.services import Operated


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


async def parts(
    make: Factory, seat: Seat, bound: Bound, read: Callable[[], Settings] | None = None, beside: Beside | None = None
) -> list[ServerPart]:
    """The parts of the process that has this ``seat``, on the sockets it was given.

    ``read`` reads the settings as they now are, so that changes are picked up; without it they are never read again. ``beside``
    are the other processes of the server, if it is several.

    The one that leads warns at every start about each door that other machines can reach, as there is no access control yet,
    about a data folder that other users of this machine can look into, and about a clock that is apart from the log's.
    """
    made: list[ServerPart] = []
    # Whoever answers the operators' listener answers for the whole server, and so asks whatever a part of it needs.
    asked = seat.roles if beside is None or bound.health is None else beside.roles
    operated = await _operated(make, seat, asked, measured=bound.http is not None or bound.health is not None)
    siblings = None if beside is None else _siblings(make, seat, operated, beside)
    if bound.http is not None:
        made += [await _http(make, bound.http, siblings), _ledger(make)]
    doors = await _doors(make, bound.mllp, folders=seat.leads) if bound.mllp is not None else None
    if doors is not None:
        made += doors.parts
    if Role.PROJECTIONS in seat.roles:
        made.append(_projections(make))
    if bound.health is not None:
        made.append(_operators(make, bound.health, replace(operated, siblings=siblings), measures=bound.http is None))
    if siblings is not None:
        made.append(siblings)
    make.metrics.look((await make.log()).trouble if operated.taking_in else None, make.settings.engine_folders)
    if read is not None:
        made.append(_settings(make, seat, doors, read))
    if seat.leads:
        await _warn(make, seat.roles, operated.taking_in)
    return made


def bind(settings: Settings, placed: Sequence[Seat]) -> list[Bound]:
    """The listening sockets of each seat. Raises what `gateway.serving.listen.listen` does."""

    def sockets(door: str, address: Address | None, role: Role | None) -> Iterator[socket.socket | None]:
        takers = [seat.leads if role is None else role in seat.roles for seat in placed]
        wanted = takers.count(True)
        if address is None or not wanted:
            return iter([None] * len(placed))
        beyond = settings.listen_beyond_loopback
        found = iter(listen_side_by_side(door, address, wanted, beyond_loopback=beyond))
        return (next(found) if takes else None for takes in takers)

    http = list(sockets("http", settings.http, Role.GATEWAY))
    mllp = list(sockets("mllp", settings.mllp, Role.INTAKE))
    health = list(sockets("health", settings.health, None))
    return [Bound(*each) for each in zip(http, mllp, health, strict=True)]


async def _warn(make: Factory, roles: Collection[Role], taking_in: bool) -> None:
    """Say what works and should not stay so."""
    for door in open_doors(make.settings, roles):
        LOGGER.warning("%s: %s", door, OPEN)
    for folder in sorted(make.settings.kept_in):
        if is_for_everybody(folder):
            LOGGER.warning("%s: chmod 700 %s", FOR_EVERYBODY.format(folder), folder)
    if taking_in:
        await warn(await make.log(), None, now())


async def _http(make: Factory, bound: socket.socket, siblings: Siblings | None) -> ServerPart:
    from gateway.app import create_app
    from gateway.serving.http import HttpPart

    services = replace(await make.services(), siblings=siblings)
    return HttpPart(create_app(services), bound, make.settings.limits, services.freshness, services.stopping)


def _ledger(make: Factory) -> ServerPart:
    from gateway.serving.ledger import LedgerPart

    make.metrics.look_at_ledger(lambda: make.ledger.trouble)
    return LedgerPart(make.ledger.open)


async def _operated(make: Factory, seat: Seat, asked: Set[Role], *, measured: bool) -> Operated:
    """What operators ask of this process. One that only takes in does not query the store."""
    from gateway.uses.services import Operated

    reads = bool(READERS & asked)
    return Operated(
        log=await make.log(),
        metrics=make.metrics,
        taking_in=bool(DOORS & seat.roles),
        store=make.store_answers if reads else None,
        ledger=make.ledger_answers if Role.GATEWAY in asked else None,
        freshness=await make.freshness() if reads and measured else None,
        folders=make.settings.engine_folders,
    )


def _operators(make: Factory, bound: socket.socket, operated: Operated, *, measures: bool) -> ServerPart:
    """``/health`` and ``/metrics`` on an address of their own."""
    from gateway.app import create_operators_app
    from gateway.http.host_names import host_names
    from gateway.serving.http import HttpPart

    settings, freshness = make.settings, operated.freshness if measures else None
    app = create_operators_app(operated, host_names(settings, settings.health or address_of(bound)))
    return HttpPart(app, bound, settings.limits, freshness, name="health")


def _siblings(make: Factory, seat: Seat, operated: Operated, beside: Beside) -> Siblings:
    from gateway.processes.siblings import Siblings, figures_file
    from gateway.routes.readiness import findings
    from gateway.watching.figures import Counted

    counted = Counted(make.metrics.registry, figures_file(beside.folder, seat))
    return Siblings(beside.folder, seat, beside.seats, counted, lambda: findings(operated))


async def _doors(make: Factory, bound: socket.socket, *, folders: bool) -> Doors:
    from gateway.composition.doors import Doors

    return Doors(make, await make.intake(), bound, folders=folders)


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


def _settings(make: Factory, seat: Seat, doors: Doors | None, read: Callable[[], Settings]) -> ServerPart:
    """The part that picks up sources changed while the server runs."""
    from gateway.composition.renewal import renew
    from gateway.serving.settings_watch import SettingsPart
    from gateway.settings.read import FILE_NAME

    reads = bool(DOORS & seat.roles)
    file = make.settings.file or Path(FILE_NAME).resolve()
    return SettingsPart(make.settings, file, read, lambda settings: renew(make, settings, doors, reads=reads), make.metrics)
