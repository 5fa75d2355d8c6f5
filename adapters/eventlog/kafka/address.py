"""Parses a ``kafka://`` address: where the cluster is, and how to connect to it.

::

    kafka://[user:password@]host:9092,host:9092[/prefix][?replication=1&member=projections-1&tls=ca.pem&cluster=id]

``prefix`` is put before the name of every topic. ``replication`` is 3 by default. ``member`` is a permanent name of this
process, so that a quick restart moves no partitions. ``tls`` is a file with the certificate authority of the brokers, or
``system``. ``cluster`` is the id of the expected cluster; any other is refused.
"""

from __future__ import annotations

import ssl
from typing import NamedTuple
from urllib.parse import parse_qsl, unquote

from schemas.errors import SettingsError

_CURE = "Write kafka://host:9092,host:9092; docs/settings.md has what may follow."
_KNOWN = frozenset({"replication", "member", "tls", "cluster"})


class KafkaAddress(NamedTuple):
    """The parts of a ``kafka://`` address."""

    bootstrap: str
    prefix: str = ""
    username: str = ""
    password: str = ""
    replication: int = 3
    member: str = ""
    tls: str = ""
    cluster: str = ""


def parse(rest: str) -> KafkaAddress:
    """Parse what follows ``kafka://``. Raises `SettingsError`, which does not repeat the address: it may contain a password."""
    server, _, query = rest.partition("?")
    before, at, after = server.rpartition("@")
    bootstrap, _, prefix = after.partition("/")
    options = dict(parse_qsl(query, keep_blank_values=True))
    username, _, password = before.partition(":")
    replication = options.get("replication", "3")
    _require(bool(bootstrap) and all(":" in one for one in bootstrap.split(",")), "the address names no host:port")
    _require(not at or bool(username and password), "the address names a user without a password, or the other way round")
    _require(options.keys() <= _KNOWN, f"the address may only say {', '.join(sorted(_KNOWN))}")
    _require(replication.isdecimal() and int(replication) > 0, "replication is not a number of copies")
    return KafkaAddress(
        bootstrap=bootstrap,
        prefix=f"{prefix}." if prefix else "",
        username=unquote(username),
        password=unquote(password),
        replication=int(replication),
        member=options.get("member", ""),
        tls=options.get("tls", ""),
        cluster=options.get("cluster", ""),
    )


def tls_context(authority: str) -> ssl.SSLContext | None:
    """The TLS context that verifies the brokers' certificates by ``authority``; ``None`` means no TLS.

    Raises `SettingsError` when the file cannot be read.
    """
    if not authority:
        return None
    try:
        return ssl.create_default_context(cafile=None if authority == "system" else authority)
    except (OSError, ssl.SSLError) as error:
        message = f"the certificate authority cannot be read: {type(error).__name__}"
        raise SettingsError(message, where="BACKBONE_LOG", cure="Name a PEM file after tls=.") from None


def _require(holds: bool, message: str) -> None:
    if not holds:
        raise SettingsError(message, where="BACKBONE_LOG", cure=_CURE)
