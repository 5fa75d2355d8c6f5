"""The table of settings: the only place where one is added. ``docs/settings.md`` is held to it by a test."""

from __future__ import annotations

from datetime import timedelta
from typing import NamedTuple

from gateway.settings.parse import (
    Parse,
    address,
    duration,
    lasting,
    names,
    one_of,
    path,
    share,
    size,
    some_of,
    spelled_out,
    text,
    url,
    web,
    whole,
    whole_or_auto,
)
from gateway.settings.shapes import POOLERS, Door, Form
from schemas.log import PARTITIONS
from schemas.source import NumbersAre, Sector, VisitNumbersAre

PREFIX = "BACKBONE_"
FILE = "_file"
"""Suffix of the key, and in capitals of the variable, that names a file holding the value instead."""


_WAIT = lasting(timedelta(milliseconds=100), timedelta(hours=1))
"""0 would mean for ever to PostgreSQL: a frozen process would keep its locks, and a lost one its connection."""


class Key(NamedTuple):
    """One setting."""

    path: tuple[str, ...]
    """Its place in the file: ``("limits", "body")`` is ``body`` below ``[limits]``."""
    parse: Parse
    default: object
    """As it would be written; ``None``: nothing, or what `gateway.settings.read` derives from another key."""
    says: str
    """One sentence for ``docs/settings.md``."""
    by_file: bool = False
    """May hold a secret: ``…_file`` names a file that holds the value."""
    secret: bool = False
    """May not stand in the settings file at all."""

    @property
    def name(self) -> str:
        return ".".join(self.path)

    @property
    def variable(self) -> str:
        """The environment variable that overrides it."""
        return PREFIX + "_".join(self.path).upper()


KEYS = (
    Key(("data",), path, "backbone-data", "Folder of the embedded log, store and ledger, of the key secret and of the locks."),
    Key(("log",), url("sqlite", "kafka"), None, "The event log, a file or Kafka. Default: `log.db` in the data folder.", True),
    Key(
        ("store",),
        url("sqlite", "postgresql"),
        None,
        "The store that pages are read from, a file or PostgreSQL. Default: `store.db` in the data folder.",
        True,
    ),
    Key(
        ("ledger",),
        url("sqlite", "postgresql"),
        None,
        "What cannot be made again, a file or PostgreSQL. Default: the store's PostgreSQL, else `ledger.db` in that folder.",
        True,
    ),
    Key(("http",), address, "127.0.0.1:8080", "Where HTTP is answered."),
    Key(("mllp",), address, "127.0.0.1:2575", "Where HL7 v2 messages are taken in. 2575 is the port registered for HL7."),
    Key(
        ("listen_beyond_loopback",),
        spelled_out("inside-a-private-network-without-access-control"),
        None,
        "Lets `http` and `mllp` be addresses that other machines can reach; must be spelled out in full, see below.",
    ),
    Key(
        ("http_names",),
        names,
        None,
        'Names, besides this machine\'s own, under which clients reach HTTP: `["backbone.example"]`.',
    ),
    Key(
        ("health",),
        address,
        None,
        "Where `/health` and `/metrics` are answered apart from HTTP, by a process of any role. Default: nowhere.",
    ),
    Key(
        ("processes",),
        whole_or_auto(1, 64),
        "auto",
        "How many processes `backbone serve` is: `auto`, by the processors it may use, or a number; `1`: everything in one.",
    ),
    Key(("partitions",), whole(1, 1000), PARTITIONS, "Partitions of a new log: the most processes that can share it."),
    Key(
        ("key_secret",),
        text,
        None,
        "Secret that keys and person ids are made with: 32 characters or more, for ever the same.",
        True,
        True,
    ),
    Key(("logging",), one_of(("debug", "info", "warning", "error")), "info", "Least serious message that is written."),
    Key(("logging_form",), one_of(Form), Form.AUTO, "`json`, `text` for people, or `auto`: text on a terminal, else JSON."),
    Key(("limits", "body"), size, "256 MiB", "Largest content of one HTTP request."),
    Key(("limits", "mllp_frame"), size, "16 MiB", "Largest HL7 v2 message."),
    Key(("limits", "mllp_connections"), whole(1, 10_000), 512, "MLLP connections of one peer at a time."),
    Key(("limits", "first_byte"), duration, "60 seconds", "How long a sender may stay silent after it connected."),
    Key(("limits", "next_byte"), duration, "10 seconds", "How long the sender of half a message or body may pause."),
    Key(("limits", "stop"), duration, "8 seconds", "How long a stop waits for work under way."),
    Key(("folders", "interval"), duration, "1 second", "How often drop folders are checked."),
    Key(("folders", "settle"), duration, "2 seconds", "How long a file must be unchanged before it is taken."),
    Key(
        ("postgresql", "pool"),
        whole(1, 1000),
        5,
        "Connections to PostgreSQL that a process holds at most, for reading and for writing each.",
    ),
    Key(("postgresql", "pool_wait"), _WAIT, "10 seconds", "How long to wait for a connection when all are busy."),
    Key(("postgresql", "connect"), _WAIT, "5 seconds", "How long PostgreSQL may take to accept a connection."),
    Key(("postgresql", "statement"), _WAIT, "30 seconds", "Time after which PostgreSQL gives up on a statement."),
    Key(("postgresql", "idle"), _WAIT, "30 seconds", "Time after which PostgreSQL ends a transaction whose process is silent."),
    Key(
        ("postgresql", "pooler"),
        one_of(POOLERS),
        "none",
        "What stands before PostgreSQL: `none`, or a pooler in `transaction` mode.",
    ),
    Key(("traces", "endpoint"), web, None, "Where OpenTelemetry traces are sent, OTLP over HTTP. Default: there are none."),
    Key(
        ("traces", "share"),
        share,
        1,
        "Share of arrivals traced, from 0 to 1; a trace begun by the sender follows the sender's choice.",
    ),
    Key(("mllp_tls", "certificate"), path, None, "Certificate chain of the MLLP door, PEM; with it, MLLP is TLS only."),
    Key(("mllp_tls", "key"), path, None, "Private key of that certificate, PEM."),
    Key(("mllp_tls", "client_authority"), path, None, "Authority of client certificates, PEM; every sender must show one."),
)
"""Every key but those of a source, in the order of the documentation."""


class SourceKey(NamedTuple):
    """One key of a ``[[source]]`` table."""

    name: str
    parse: Parse
    says: str
    required: bool = False


SOURCE_KEYS = (
    SourceKey("id", text, "Names the source for ever, in every key: lower-case letters, digits, hyphens.", True),
    SourceKey("name", text, "What people call it; shown on the timeline.", True),
    SourceKey("sector", one_of(Sector), "The part of health and care it belongs to.", True),
    SourceKey("reads", text, "`hl7v2`, `fhir`, `cloudevents`, or the name of a mapping file beside this one.", True),
    SourceKey("organisation", text, "ODS code of the organisation."),
    SourceKey("doors", some_of(Door), 'Doors that it may use. Default: `["http"]`.'),
    SourceKey("match", text, "Its MLLP messages: `{ sending_application = …, sending_facility = … }`, one or both."),
    SourceKey("endpoint", text, "What its FHIR messages name as `MessageHeader.source.endpoint`."),
    SourceKey("folder", path, "Its drop folder."),
    SourceKey("places", text, "What its codes of wards and sites are called: `{ code = name }`."),
    SourceKey(
        "nhs_numbers",
        one_of(NumbersAre),
        "How far to trust its NHS numbers when a record does not say. Default: `traced`.",
    ),
    SourceKey("visit_numbers", one_of(VisitNumbersAre), "What its HL7 v2 visit numbers (PV1-19) identify. Default: `unique`."),
    SourceKey("expect_every", duration, "When it is silent for longer than this, it is named under `missing`."),
    SourceKey("tls_client", text, "Name in the client certificate that its MLLP connections must show."),
)
"""Every key of a ``[[source]]`` table; ``match`` and ``places`` are tables and read by `gateway.settings.sources`."""
