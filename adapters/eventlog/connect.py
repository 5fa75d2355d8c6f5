"""Opens the event log at an address. The URL scheme chooses the implementation.

``sqlite:///relative/log.db`` and ``sqlite:////absolute/log.db`` name a file, in the notation of SQLAlchemy. For ``kafka://``
see `adapters.eventlog.kafka.address`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from types import MappingProxyType

from adapters.eventlog.embedded.log import EmbeddedLog
from adapters.eventlog.kafka.address import parse, tls_context
from schemas.errors import NotFound, SettingsError
from schemas.log import PARTITIONS, EventLog

_Open = Callable[[str, int, bool], Awaitable[EventLog]]
"""Takes the part after ``scheme://``, the number of partitions, and whether a missing log may be created."""


async def connect(url: str, *, partitions: int = PARTITIONS, create: bool = True) -> EventLog:
    """Open the log at ``url``; close it when done. With ``create``, a missing file or missing topics are created.

    Raises `SettingsError` when there can be no log at this address, `LogUnavailable` when it does not answer, `NotFound` when
    it is missing and must not be created. No error repeats the address, which may contain a password.
    """
    scheme, separator, rest = url.partition("://")
    if not separator or scheme not in _SCHEMES:
        known = " or ".join(f"{name}://" for name in _SCHEMES)
        raise SettingsError("the address names no known kind of log", cure=f"Begin it with {known}.", where="BACKBONE_LOG")
    return await _SCHEMES[scheme](rest, partitions, create)


async def _sqlite(rest: str, partitions: int, create: bool) -> EventLog:
    host, slash, path = rest.partition("/")
    if host or not slash or not path:
        cure = (
            "Write sqlite:///log.db for a file in the working folder, sqlite:////var/lib/backbone/log.db for an absolute path."
        )
        raise SettingsError("the address names no file", cure=cure, where="BACKBONE_LOG")
    if not create and not await asyncio.to_thread(Path(path).exists):
        raise NotFound("there is no log at this address yet", where=path, cure="The first `backbone serve` makes it.")
    return await asyncio.to_thread(EmbeddedLog, Path(path), partitions)


async def _kafka(rest: str, partitions: int, create: bool) -> EventLog:
    from adapters.eventlog.kafka.log import KafkaLog  # takes 0.15 s to import, so only where it is used
    from adapters.eventlog.kafka.options import KafkaOptions

    address = parse(rest)
    options = KafkaOptions(
        bootstrap=address.bootstrap,
        prefix=address.prefix,
        partitions=partitions,
        replication=address.replication,
        member=address.member,
        username=address.username,
        password=address.password,
        tls=tls_context(address.tls),
        cluster=address.cluster,
    )
    return await KafkaLog.open(options, create=create)


_SCHEMES: Mapping[str, _Open] = MappingProxyType({"sqlite": _sqlite, "kafka": _kafka})
