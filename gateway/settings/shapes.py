"""What the rest of the gateway gets: the settings as typed values, checked, with every path absolute.

A field that may be set carries its `Key`, and this is the only place where a setting is added. The sentence under the field
is what ``docs/settings.md`` says of it, which a test holds. The annotations are evaluated here, unlike elsewhere, because
`keys_of` reads the keys from them.
"""

from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Annotated

import msgspec

from gateway.settings import parse
from gateway.settings.keys import Key, Otherwise, keys_of
from gateway.settings.values import Address, Door, Form, Match, Secret, Url
from schemas.log import PARTITIONS
from schemas.source import Sector, Source

UNKNOWN_OVER_HTTP = Source(id="unknown-http", name="Unknown sender over HTTP", sector=Sector.NHS)
"""Under this source's id is kept what in a batch is of nobody who may send over HTTP. It makes no events."""


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

    body: Annotated[int, Key(parse.size, "256 MiB")]
    """Largest content of one HTTP request."""
    mllp_frame: Annotated[int, Key(parse.size, "16 MiB")]
    """Largest HL7 v2 message."""
    mllp_connections: Annotated[int, Key(parse.whole(1, 10_000), 512)]
    """MLLP connections of one peer at a time."""
    first_byte: Annotated[timedelta, Key(parse.duration, "60 seconds")]
    """How long a sender may stay silent after it connected."""
    next_byte: Annotated[timedelta, Key(parse.duration, "10 seconds")]
    """How long the sender of half a message or body may pause."""
    stop: Annotated[timedelta, Key(parse.duration, "8 seconds")]
    """How long a stop waits for work under way."""


class Folders(msgspec.Struct, frozen=True, kw_only=True):
    """How drop folders are watched."""

    interval: Annotated[timedelta, Key(parse.duration, "1 second")]
    """How often drop folders are checked."""
    settle: Annotated[timedelta, Key(parse.duration, "2 seconds")]
    """How long a file must be unchanged before it is taken."""


_WAIT = parse.lasting(timedelta(milliseconds=100), timedelta(hours=1))
"""0 would mean for ever to PostgreSQL: a frozen process would keep its locks, and a lost one its connection."""


class PostgreSql(msgspec.Struct, frozen=True, kw_only=True):
    """How a process connects to a store on PostgreSQL."""

    pool: Annotated[int, Key(parse.whole(1, 1000), 5)]
    """Connections to PostgreSQL that a process holds at most, for reading and for writing each."""
    pool_wait: Annotated[timedelta, Key(_WAIT, "10 seconds")]
    """How long to wait for a connection when all are busy."""
    connect: Annotated[timedelta, Key(_WAIT, "5 seconds")]
    """How long PostgreSQL may take to accept a connection."""
    statement: Annotated[timedelta, Key(_WAIT, "30 seconds")]
    """Time after which PostgreSQL gives up on a statement."""
    idle: Annotated[timedelta, Key(_WAIT, "30 seconds")]
    """Time after which PostgreSQL ends a transaction whose process is silent."""
    # A pooler in session mode is as good as none.
    pooler: Annotated[str, Key(parse.one_of(("none", "transaction")), "none")]
    """What stands before PostgreSQL: `none`, or a pooler in `transaction` mode."""


class Traces(msgspec.Struct, frozen=True, kw_only=True):
    """OpenTelemetry traces; off without an endpoint."""

    endpoint: Annotated[str | None, Key(parse.web)]
    """Where OpenTelemetry traces are sent, OTLP over HTTP. Default: there are none."""
    share: Annotated[float, Key(parse.share, 1)]
    """Share of arrivals traced, from 0 to 1; a trace begun by the sender follows the sender's choice."""


class MllpTls(msgspec.Struct, frozen=True, kw_only=True):
    """TLS of the MLLP door; off without a certificate."""

    certificate: Annotated[Path | None, Key(parse.path)]
    """Certificate chain of the MLLP door, PEM; with it, MLLP is TLS only."""
    key: Annotated[Path | None, Key(parse.path)]
    """Private key of that certificate, PEM."""
    client_authority: Annotated[Path | None, Key(parse.path)]
    """Authority of client certificates, PEM; every sender must show one."""


def _engine(beside_sqlite: str, otherwise: Otherwise) -> Key:
    """The key of an engine's address, which may hold a password."""
    return Key(parse.url("sqlite", beside_sqlite), otherwise=otherwise, by_file=True)


def _in_data(name: str) -> Otherwise:
    """The file ``name`` in the data folder."""
    return lambda given: parse.sqlite_url(given["data"] / name)


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that can be set."""

    data: Annotated[Path, Key(parse.path, "backbone-data")]
    """Folder of the embedded log, store and ledger, of the key secret and of the locks."""
    log: Annotated[Url, _engine("kafka", _in_data("log.db"))]
    """The event log, a file or Kafka. Default: `log.db` in the data folder."""
    store: Annotated[Url, _engine("postgresql", _in_data("store.db"))]
    """The store that pages are read from, a file or PostgreSQL. Default: `store.db` in the data folder."""
    ledger: Annotated[
        Url, _engine("postgresql", lambda given: _in_data("ledger.db")(given) if given["store"].embedded else given["store"])
    ]
    """What cannot be made again, a file or PostgreSQL. Default: the store's PostgreSQL, else `ledger.db` in that folder."""
    http: Annotated[Address, Key(parse.address, "127.0.0.1:8080")]
    """Where HTTP is answered."""
    mllp: Annotated[Address, Key(parse.address, "127.0.0.1:2575")]
    """Where HL7 v2 messages are taken in. 2575 is the port registered for HL7."""
    # The operator has spelled out that whoever reaches the doors may read and send everything.
    listen_beyond_loopback: Annotated[
        bool, Key(parse.spelled_out("inside-a-private-network-without-access-control"), otherwise=lambda _: False)
    ]
    """Lets `http` and `mllp` be addresses that other machines can reach; must be spelled out in full, see below."""
    # Lower case, without port.
    http_names: Annotated[frozenset[str], Key(parse.names, otherwise=lambda _: frozenset())]
    """Names, besides this machine's own, under which clients reach HTTP: `["backbone.example"]`."""
    health: Annotated[Address | None, Key(parse.address)]
    """Where `/health` and `/metrics` are answered apart from HTTP, by a process of any role. Default: nowhere."""
    # ``None``: as many as there are processors for it.
    processes: Annotated[int | None, Key(parse.whole_or_auto(1, 64), "auto")]
    """How many processes `backbone serve` is: `auto`, by the processors it may use, or a number; `1`: everything in one."""
    partitions: Annotated[int, Key(parse.whole(1, 1000), PARTITIONS)]
    """Partitions of a new log: the most processes that can share it."""
    # As given; ``None`` on the embedded default, where it is kept in the data folder (`gateway.settings.secret`).
    key_secret: Annotated[Secret | None, Key(parse.secret, by_file=True, secret=True)]
    """Secret that keys and person ids are made with: 32 characters or more, for ever the same."""
    logging: Annotated[str, Key(parse.one_of(("debug", "info", "warning", "error")), "info")]
    """Least serious message that is written."""
    logging_form: Annotated[Form, Key(parse.one_of(Form), Form.AUTO)]
    """`json`, `text` for people, or `auto`: text on a terminal, else JSON."""
    limits: Limits
    folders: Folders
    postgresql: PostgreSql
    traces: Traces
    mllp_tls: MllpTls
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


KEYS = tuple(keys_of(Settings))
"""Every key but those of a source, in the order of the documentation."""
