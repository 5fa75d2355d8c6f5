"""Which log an address means: a table from URL scheme to the implementation that is opened.

``sqlite:///relative/log.db`` and ``sqlite:////absolute/log.db`` are a file, as SQLAlchemy writes them too; `kafka_address` says
what stands behind ``kafka://``.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from types import MappingProxyType

from adapters.eventlog.embedded import EmbeddedLog
from adapters.eventlog.kafka.address import parse, tls_context
from schemas.errors import NotFound, SettingsError
from schemas.log import PARTITIONS, EventLog

_Open = Callable[[str, int, bool], Awaitable[EventLog]]
"""Called with what stands behind ``scheme://``, the number of partitions, and whether it may make what is missing."""


async def connect(url: str, *, partitions: int = PARTITIONS, create: bool = True) -> EventLog:
    """The log at ``url``, opened; close it when done. With ``create`` a file, or the topics of a cluster, are made if missing.

    Raises `SettingsError` when no log can be there, `LogUnavailable` when it does not answer, `NotFound` when they are
    missing and may not be made. None repeats the address: it may hold a password.
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
    from adapters.eventlog.kafka.log import KafkaLog  # 0.15 s to import, for those who have it
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
