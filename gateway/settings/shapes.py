"""What the rest of the gateway gets: the settings as typed values, checked, with every path absolute."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from enum import StrEnum
from pathlib import Path
from typing import NamedTuple
from urllib.parse import SplitResult, urlsplit

import msgspec

from schemas.source import Sector, Source


class Url(str):
    """Address of an engine. It may hold a password, so that its ``repr`` and `shown` leave it out."""

    __slots__ = ()

    @property
    def parts(self) -> SplitResult:
        return urlsplit(self)

    @property
    def embedded(self) -> bool:
        """Whether the engine is a file of this machine."""
        return self.parts.scheme == "sqlite"

    @property
    def file(self) -> Path | None:
        """The file of an embedded engine."""
        return Path(self.removeprefix("sqlite:///")) if self.embedded else None

    @property
    def shown(self) -> str:
        """The address as it may be printed."""
        parts = self.parts
        if "@" not in parts.netloc and not parts.query:
            return str(self)
        return parts._replace(netloc=parts.netloc.rpartition("@")[2], query="").geturl()

    def __repr__(self) -> str:
        return f"Url({self.shown!r})"


class Secret(bytes):
    """Bytes that must not be seen: never in a ``repr``, a log or an error."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "Secret(…)"


class Address(NamedTuple):
    """Where a door listens."""

    host: str
    port: int
    """0: any free one (tests); the line printed at the start says which."""

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


class Door(StrEnum):
    """A way in that a source may use."""

    MLLP = "mllp"
    HTTP = "http"
    FOLDER = "folder"


UNKNOWN_OVER_HTTP = Source(id="unknown-http", name="Unknown sender over HTTP", sector=Sector.NHS)
"""Under this source's id is kept what in a batch is of nobody who may send over HTTP. It makes no events."""


class Form(StrEnum):
    """How a message is written."""

    AUTO = "auto"
    """`TEXT` on a terminal, else `JSON`."""
    JSON = "json"
    """One object a line, for programs."""
    TEXT = "text"
    """For people."""


class Match(msgspec.Struct, frozen=True, kw_only=True):
    """Which MLLP messages are a source's. At least one is given; an empty one matches any."""

    sending_application: str = ""
    """MSH-3."""
    sending_facility: str = ""
    """MSH-4."""


class SourceSettings(msgspec.Struct, frozen=True, kw_only=True):
    """One ``[[source]]`` table."""

    source: Source
    reads: str
    """``hl7v2``, ``fhir``, ``cloudevents`` or, for a mapping file, its name."""
    mapping: Path | None = None
    """The mapping file, when ``reads`` names one."""
    doors: frozenset[Door] = frozenset({Door.HTTP})
    match: Match | None = None
    endpoint: str = ""
    """``MessageHeader.source.endpoint`` of its FHIR messages."""
    folder: Path | None = None
    expect_every: timedelta | None = None
    """Silent for longer than this, the source is named under ``missing``."""
    tls_client: str = ""
    """Name in the client certificate that MLLP connections of this source must show."""
    numbers_assumed: bool = False
    """Whether its NHS numbers are taken as traced although nobody says so, and its sector does not as a rule trace them."""


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """What is refused rather than taken in part, and for how long anything is waited for."""

    body: int
    mllp_frame: int
    mllp_connections: int
    first_byte: timedelta
    next_byte: timedelta
    stop: timedelta


class Folders(msgspec.Struct, frozen=True, kw_only=True):
    """How drop folders are watched."""

    interval: timedelta
    settle: timedelta


class MllpTls(msgspec.Struct, frozen=True, kw_only=True):
    """TLS of the MLLP door; off without a certificate."""

    certificate: Path | None = None
    key: Path | None = None
    client_authority: Path | None = None


POOLERS = ("none", "transaction")
"""What may stand between a process and PostgreSQL. A pooler in session mode is as good as none."""


class PostgreSql(msgspec.Struct, frozen=True, kw_only=True):
    """How a process connects to a store on PostgreSQL."""

    pool: int
    pool_wait: timedelta
    connect: timedelta
    statement: timedelta
    idle: timedelta
    pooler: str
    """One of `POOLERS`."""


class Traces(msgspec.Struct, frozen=True, kw_only=True):
    """OpenTelemetry traces; off without an endpoint."""

    endpoint: str | None
    """Of a collector, OTLP over HTTP."""
    share: float
    """Of the deliveries that begin a trace, from 0 to 1; one that goes on with its sender's is kept if that is."""


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that can be set."""

    log: Url
    store: Url
    ledger: Url
    data: Path
    http: Address
    mllp: Address
    listen_beyond_loopback: bool
    """The operator has spelled out that whoever reaches the doors may read and send everything."""
    http_names: frozenset[str]
    """Lower case, without port."""
    health: Address | None
    """Of the operators' listener; ``None``: there is none."""
    processes: int | None
    """How many a server is; ``None``: as many as there are processors for it."""
    partitions: int
    logging: str
    logging_form: str
    """A `Form`."""
    key_secret: Secret | None
    """As given; ``None`` on the embedded default, where it is kept in the data folder (`gateway.settings.secret`)."""
    limits: Limits
    folders: Folders
    postgresql: PostgreSql
    mllp_tls: MllpTls
    traces: Traces
    sources: Mapping[str, SourceSettings]
    """By id, in the order of the file."""
    file: Path | None
    """Where the settings came from, or ``None`` when there was no file."""
    secret_files: tuple[Path, ...] = ()
    """Files that secrets were read from: nobody else should be able to."""

    @property
    def embedded(self) -> bool:
        """Whether the log and the store are files of this machine."""
        return self.log.embedded and self.store.embedded

    @property
    def engine_folders(self) -> Mapping[str, Path]:
        """Where the embedded engines keep their files, by engine: ``log``, ``store``, ``ledger``."""
        urls = {"log": self.log, "store": self.store, "ledger": self.ledger}
        return {name: url.file.parent for name, url in urls.items() if url.file is not None}

    @property
    def kept_in(self) -> frozenset[Path]:
        """The same folders, each once."""
        return frozenset(self.engine_folders.values())
