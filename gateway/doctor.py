"""``backbone doctor``: checks everything the backbone needs and names the cure for whatever is wrong. Changes nothing.

Each check is one function in `CHECKS`. It may find nothing wrong, or several things, and never stops the others.
"""

from __future__ import annotations

import os
import shutil
import stat
from collections.abc import AsyncIterator, Callable, Mapping
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, NamedTuple

from gateway.composition.assembly import FOR_EVERYBODY, OPEN, health_is_open, open_doors
from gateway.composition.clock import CURE, beside_the_log, beside_the_store
from gateway.composition.factory import Factory, now
from gateway.composition.secret_identity import compare
from gateway.serving.locks import is_for_everybody
from gateway.settings.mapping import mapping_text
from gateway.settings.secret import key_secret, secret_file
from gateway.terminal.plural import counted
from schemas.errors import BackboneError, EngineUnavailable, NotFound
from schemas.log import EVENTS, TOPICS, EventLog

if TYPE_CHECKING:
    from consumers.database.migration.history import Schema
    from gateway.settings.values import Url

ROOM_NEEDED_BYTES = 100 * 1024 * 1024
"""With less free space the next large file may not fit: a failure."""
ROOM_WISHED_BYTES = 5 * 1024 * 1024 * 1024
"""With less free space somebody should make room: a million events and their projections need about this much."""
LATE = timedelta(minutes=1)
"""A running projection has long applied everything by then."""
BUILT_AT = datetime(2026, 1, 1, tzinfo=UTC)
"""No correct clock shows an earlier time."""


class Level(StrEnum):
    """How a check came out."""

    OK = "ok"
    WARN = "warn"
    """Works, but will not for long, or not safely."""
    FAIL = "fail"
    UNREACHABLE = "unreachable"
    """An engine does not answer."""


class Finding(NamedTuple):
    """One line of the doctor."""

    level: Level
    about: str
    says: str
    cure: str = ""


Check = Callable[[Factory], AsyncIterator[Finding]]


async def examine(make: Factory) -> AsyncIterator[Finding]:
    """The findings of every check, as they come."""
    failed: set[Check] = set()
    for check in CHECKS:
        if failed.intersection(NEEDS.get(check, ())):
            continue  # what is wrong was said; behind a firewall each further try would take many seconds
        about = check.__name__.strip("_").replace("_", " ")
        try:
            async for finding in check(make):
                yield finding
        except (BackboneError, OSError) as error:
            yield _failed(about, error)
            failed.add(check)


def _failed(about: str, error: BackboneError | OSError) -> Finding:
    if isinstance(error, OSError):
        return Finding(Level.FAIL, about, f"{error.filename}: {error.strerror}", "Correct the path or its permissions.")
    level = Level.UNREACHABLE if isinstance(error, EngineUnavailable) else Level.FAIL
    where = f"{error.where}: " if error.where else ""
    return Finding(level, about, f"{where}{error.message}", error.cure)


async def _settings(make: Factory) -> AsyncIterator[Finding]:
    settings = make.settings
    yield Finding(Level.OK, "settings", f"from {settings.file or 'the defaults'}, {counted(len(settings.sources), 'source')}")
    if not settings.sources:
        yield Finding(Level.WARN, "settings", "no source is declared, so nothing is taken in", "`backbone source add --help`")
    for name, source in settings.sources.items():
        if source.numbers_assumed:
            cure = 'Write nhs_numbers = "traced" into its table if it checks them against the national register, else "stated".'
            yield Finding(Level.WARN, "settings", f"records are linked on the NHS numbers of {name}, and nobody says why", cure)


async def _listening(make: Factory) -> AsyncIterator[Finding]:
    settings = make.settings
    health = health_is_open(settings)
    doors = open_doors(settings)
    for door in doors:
        cure = "Use a firewall or a network policy, so that only those who may see everything can reach it."
        yield Finding(Level.WARN, "listening", f"{door}: {OPEN}", cure)
    if not doors:
        yield Finding(Level.OK, "listening", f"on this machine alone: http {settings.http}, mllp {settings.mllp}")
        if settings.listen_beyond_loopback and not health:
            cure = "Remove it: nothing needs it."
            yield Finding(Level.WARN, "listening", "listen_beyond_loopback is set, but no door listens beyond loopback", cure)


async def _data_folder(make: Factory) -> AsyncIterator[Finding]:
    for folder in sorted(make.settings.kept_in):
        standing = next(each for each in (folder, *folder.parents) if each.exists())
        if not standing.is_dir() or not os.access(standing, os.W_OK | os.X_OK):
            cure = "Let the user that runs the backbone write to it, or set BACKBONE_DATA to another folder."
            yield Finding(Level.FAIL, "data folder", f"{standing} cannot be written to", cure)
            continue
        if is_for_everybody(folder):
            yield Finding(Level.WARN, "data folder", FOR_EVERYBODY.format(folder), f"chmod 700 {folder}")
        free = shutil.disk_usage(standing).free
        level = Level.FAIL if free < ROOM_NEEDED_BYTES else Level.WARN if free < ROOM_WISHED_BYTES else Level.OK
        cure = "" if level is Level.OK else "Make room: once the disk is full, nothing is acknowledged."
        yield Finding(level, "data folder", f"{folder}, {free / 2**30:.1f} GiB free", cure)


async def _secrets(make: Factory) -> AsyncIterator[Finding]:
    settings = make.settings
    kept = secret_file(settings)
    key_secret(settings, create=False)
    for file in (*settings.secret_files, *([kept] if kept.is_file() else [])):
        mode = stat.S_IMODE(file.stat().st_mode)
        if mode & (stat.S_IRWXG | stat.S_IRWXO):
            cure = f"chmod 600 {file}"
            yield Finding(Level.WARN, "secrets", f"others may read {file} (mode {mode:04o})", cure)
        else:
            yield Finding(Level.OK, "secrets", f"only its owner may read {file}")
    if settings.key_secret is None and not kept.is_file():
        yield Finding(Level.OK, "secrets", "the key secret is made at the first start; back it up with the log")


async def _log(make: Factory) -> AsyncIterator[Finding]:
    log = await _existing(make)
    if log is None:
        yield Finding(Level.OK, "log", f"{make.settings.log.shown} is made at the first start")
        return
    counts = [sum((await log.ends(topic)).values()) for topic in TOPICS]
    partitions = len(await log.ends(EVENTS))
    says = ", ".join(f"{count:,} in {topic}" for topic, count in zip(TOPICS, counts, strict=True))
    yield Finding(Level.OK, "log", f"{make.settings.log.shown}: {says}; {partitions} partitions")
    if (trouble := log.trouble()) is not None:
        yield _failed("log", trouble)


async def _secret_of_the_log(make: Factory) -> AsyncIterator[Finding]:
    log = await _existing(make)
    if log is None or key_secret(make.settings, create=False) is None:
        return
    if await compare(log, make.pseudonyms):
        yield Finding(Level.OK, "secrets", "the log was written with this key secret")
    else:
        cure = "The next start of `backbone serve` notes it: see that it is the secret used so far."
        yield Finding(Level.WARN, "secrets", "the log does not say yet with which key secret it was written", cure)


async def _store(make: Factory) -> AsyncIterator[Finding]:
    if _is_not_there(make.settings.store.file):
        yield Finding(Level.OK, "store", f"{make.settings.store.shown} is made at the first start")
        return
    from consumers.database.trouble import READ_ONLY, cure_of
    from consumers.database.use import STORE
    from consumers.models import schema

    yield _tables("store", make.settings.store, await schema(make.database), "The next start of the projections upgrades them.")
    if await make.database.only_reads():
        yield Finding(Level.FAIL, "store", "PostgreSQL only reads: nothing is projected", cure_of(READ_ONLY, STORE))
    if make.settings.postgresql.pooler != "none":
        async for finding in _pooler(make):
            yield finding
    if make.settings.ledger == make.settings.store:
        async for finding in _ledger_there(make):
            yield finding


def _tables(engine: str, url: Url, found: Schema, upgrade: str) -> Finding:
    """How a database's tables compare with this program's."""
    level, says, cure = {
        "empty": (Level.OK, "its tables are made at the first start", ""),
        "current": (Level.OK, "its tables are up to date", ""),
        "older": (Level.WARN, "its tables are of an older version", upgrade),
        "newer": (Level.FAIL, "its tables are of a newer version", "Start the version that made them, or a newer one."),
    }[found]
    return Finding(level, engine, f"{url.shown}: {says}", cure)


async def _ledger(make: Factory) -> AsyncIterator[Finding]:
    if make.settings.ledger != make.settings.store:  # else the store's check came to it
        async for finding in _ledger_there(make):
            yield finding


async def _ledger_there(make: Factory) -> AsyncIterator[Finding]:
    from consumers.database.trouble import READ_ONLY, cure_of
    from consumers.database.use import LEDGER
    from consumers.ledger.migrate import HISTORY, answering

    url, known, database = make.settings.ledger, make.ledger_memory.known(), make.ledger_database
    if not known and database.is_missing:
        yield Finding(Level.OK, "ledger", f"{url.shown} is made at the first start")
        return
    if known:
        await answering(database, known)
    yield _tables("ledger", url, await HISTORY.schema(database), "The next start of the gateway upgrades them.")
    if url.file is not None and not os.access(url.file, os.R_OK | os.W_OK):
        yield Finding(Level.FAIL, "ledger", f"{url.file} cannot be written", "Let the user that runs the backbone write to it.")
    if await database.only_reads():
        yield Finding(Level.FAIL, "ledger", "PostgreSQL only reads", cure_of(READ_ONLY, LEDGER))


async def _pooler(make: Factory) -> AsyncIterator[Finding]:
    """Check that the role itself limits single reads, which a pooler may give to any of the server's sessions."""
    [(limit, role)] = await make.database.fetch("SELECT current_setting('statement_timeout'), current_user", ())
    if limit == "0":
        cure = f"ALTER ROLE {role} SET statement_timeout = '30s', then RECONNECT in the pooler's console."
        yield Finding(Level.WARN, "store", "behind the pooler a single read may take for ever", cure)


async def _projections(make: Factory) -> AsyncIterator[Finding]:
    """Check how far each projection has got, and what it could not apply."""
    from consumers.database.migration.history import Schema
    from consumers.following.lag import behind
    from consumers.following.recognise import Recogniser
    from consumers.models import schema
    from consumers.store.origin import require, require_none

    if _is_not_there(make.settings.store.file) or await schema(make.database) is not Schema.CURRENT:
        return  # the store's own check says so
    log = await _existing(make)
    if log is None:
        await require_none(make.database, make.settings.log.shown)
        return
    await require(make.database, log.identity)
    for name, lag in (await behind(log, make.database, Recogniser(log))).items():
        if lag.parked:
            cure = f"`backbone parked list {name}` says why; upgrade, then `backbone parked retry {name}`."
            yield Finding(Level.WARN, "projections", f"{name} could not apply {lag.parked:,} events", cure)
        elif lag.events and lag.seconds > LATE.total_seconds():
            says = f"{name} is {lag.events:,} events behind, the oldest from {lag.seconds:,.0f} s ago"
            yield Finding(Level.WARN, "projections", says, "Is `backbone serve` running with projections among its roles?")
        else:
            yield Finding(Level.OK, "projections", f"{name} is {lag.events:,} events behind")


async def _clock(make: Factory) -> AsyncIterator[Finding]:
    time = now()
    if time < BUILT_AT:
        yield Finding(Level.FAIL, "clock", f"this machine's clock shows {time:%Y-%m-%d}", CURE)
    else:
        yield Finding(Level.OK, "clock", f"{time:%Y-%m-%dT%H:%M:%SZ}")


async def _clock_of_the_log(make: Factory) -> AsyncIterator[Finding]:
    log = await _existing(make)
    if log is not None and (says := await beside_the_log(log, now())) is not None:
        yield Finding(Level.FAIL, "clock", says, CURE)


async def _clock_of_the_store(make: Factory) -> AsyncIterator[Finding]:
    if make.settings.store.file is None and (says := await beside_the_store(make.database, now())) is not None:
        yield Finding(Level.FAIL, "clock", says, CURE)


async def _existing(make: Factory) -> EventLog | None:
    """The log; ``None`` when nothing was taken in yet. Raises what `Factory.log` raises."""
    if _is_not_there(make.settings.log.file):
        return None
    try:
        return await make.log()
    except NotFound:
        return None


async def _mappings(make: Factory) -> AsyncIterator[Finding]:
    from adapters.tabular.check import check
    from adapters.tabular.mapping.load import load_mapping

    for source in make.settings.sources.values():
        if source.mapping is None:
            continue
        outcomes = check(load_mapping(mapping_text(source.mapping), str(source.mapping)), source.source)
        failed = sum(not outcome.passed for outcome in outcomes)
        level = Level.FAIL if failed else Level.OK
        cure = f"`backbone source check {source.source.id}` says what differs." if failed else ""
        yield Finding(level, "mappings", f"{source.mapping}: {counted(len(outcomes), 'test')}, {failed} failed", cure)


async def _drop_folders(make: Factory) -> AsyncIterator[Finding]:
    for source in make.settings.sources.values():
        folder = source.folder
        if folder is None:
            continue
        if not folder.is_dir():
            yield Finding(
                Level.WARN,
                "drop folders",
                f"{folder} is not there",
                "Is its share mounted? If it has none, the next start makes it.",
            )
        elif not os.access(folder, os.R_OK | os.W_OK | os.X_OK):
            cure = "Let the user that runs the backbone read and write it: files taken in are moved to done/."
            yield Finding(Level.FAIL, "drop folders", f"{folder} cannot be read and written", cure)
        else:
            yield Finding(Level.OK, "drop folders", f"{folder} ({source.source.id})")


def _is_not_there(file: Path | None) -> bool:
    return file is not None and not file.exists()


CHECKS: tuple[Check, ...] = (
    *(_settings, _listening, _data_folder, _secrets, _log, _secret_of_the_log),
    *(_store, _ledger, _projections, _clock, _clock_of_the_log, _clock_of_the_store, _mappings, _drop_folders),
)
NEEDS: Mapping[Check, tuple[Check, ...]] = MappingProxyType(
    {
        _secret_of_the_log: (_log,),
        _projections: (_log, _store),
        _clock_of_the_log: (_log,),
        _clock_of_the_store: (_store,),
    }
)
"""Check → those before it that must have come to their end: else it could only say the same again."""
