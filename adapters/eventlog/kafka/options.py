"""How to reach a Kafka cluster, and the options that all clients of the library get. Makes no client."""

from __future__ import annotations

import ssl
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from schemas.log import PARTITIONS

_SECURITY = {
    (False, False): "PLAINTEXT",
    (True, False): "SSL",
    (False, True): "SASL_PLAINTEXT",
    (True, True): "SASL_SSL",
}
"""(with TLS, with a user) to the library's name of the protocol."""


METADATA_MS = 15_000
"""How often every client refreshes its metadata: the longest that a changed number of partitions goes unnoticed."""


@dataclass(frozen=True)
class KafkaOptions:
    """How to reach the cluster, and the settings of its topics and clients."""

    bootstrap: str
    """``host:port,…``"""
    prefix: str = ""
    """Put before the name of every topic, so that several backbones can share a cluster."""
    partitions: int = PARTITIONS
    replication: int = 3
    """Copies of each partition; 1 only where losing a disk may lose events."""
    cluster: str = ""
    """Id of the expected cluster; any other is refused. Empty: any cluster."""
    append_within: timedelta = timedelta(seconds=30)
    """Longer than the 9–13 s a partition stalls when its leader is killed (Kafka 4.1, default session timeout)."""
    session: timedelta = timedelta(seconds=10)
    """A member that sends no heartbeat for this long loses its partitions."""
    handled_within: timedelta = timedelta(minutes=5)
    """A member that takes longer than this to handle what one poll returned loses its partitions."""
    stuck_after: timedelta = timedelta(seconds=60)
    """A consumer whose position has not moved for this long, although there are records, is stuck. Far above any broker's
    stall."""
    member: str = ""
    """Permanent name of this process (static membership): a restart within ``session`` moves no partition. Empty: dynamic."""
    username: str = ""
    password: str = ""
    """With ``username``: SASL/SCRAM-SHA-512."""
    tls: ssl.SSLContext | None = None
    clock: Callable[[], float] = time.time
    """This machine's clock, in seconds since 1970."""

    def client(self) -> dict[str, Any]:
        """The arguments that every client of the library takes."""
        return {"bootstrap_servers": self.bootstrap, **self.connection()}

    def connection(self) -> dict[str, Any]:
        """The arguments of one connection: TLS and user."""
        scram = {
            "sasl_mechanism": "SCRAM-SHA-512",
            "sasl_plain_username": self.username,
            "sasl_plain_password": self.password,
        }
        return {
            "security_protocol": _SECURITY[self.tls is not None, bool(self.username)],
            "ssl_context": self.tls,
            **(scram if self.username else {}),
        }

    @property
    def brokers(self) -> list[tuple[str, int]]:
        """Host and port of each broker in ``bootstrap``."""
        pairs = [one.strip().rpartition(":") for one in self.bootstrap.split(",")]
        return [(host.strip("[]"), int(port)) for host, _, port in pairs]
