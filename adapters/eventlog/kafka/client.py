"""Starting and stopping the library's clients, neither of which may be left to itself.

A start says the same of every trouble ("unable to bootstrap"), so `why` asks one broker after the other what it is. A stop
waits for ever while the brokers are gone (aio-libs/aiokafka #1101), so it is left after a while.
"""

from __future__ import annotations

import asyncio
import logging
import socket
import ssl
from collections.abc import Coroutine
from typing import Any, Protocol

from aiokafka.conn import create_conn
from aiokafka.errors import KafkaError, SaslAuthenticationFailed, UnsupportedSaslMechanismError
from aiokafka.protocol.metadata import MetadataRequest

from adapters.eventlog.kafka.options import KafkaOptions
from schemas.errors import LogUnavailable

LOGGER = logging.getLogger(__name__)

START_S = 15.0
"""Longest wait for a client's first answer."""
STOP_S = 5.0
"""Longest wait for its last."""
LOOK = "See that its brokers run: of its controllers more than half must, of each partition one that is in sync."
"""The cure where Kafka did not answer what a client asked."""
ASKED_S = 5.0
"""Longest wait for one broker that is asked why."""


class Client(Protocol):
    """What is used of a producer or consumer here."""

    async def start(self) -> None: ...

    def stop(self) -> Coroutine[Any, Any, None]: ...


async def started(client: Client, options: KafkaOptions) -> None:
    """Start ``client``; one that does not come to it, for whatever reason, is let go of.

    Raises `LogUnavailable` that says what is wrong.
    """
    done = False
    try:
        async with asyncio.timeout(START_S):
            await client.start()
        done = True
    except (KafkaError, TimeoutError, ssl.SSLError) as error:
        raise await why(options, error) from error
    finally:
        if not done:
            await stopped(client)


async def stopped(client: Client) -> None:
    """Stop ``client``, or leave it after a while.

    In a task of its own: the library lets through the cancellation of its own tasks, which would end ours with them.
    """
    stopping = asyncio.create_task(client.stop(), name="kafka-client-stop")
    done, _ = await asyncio.wait((stopping,), timeout=STOP_S)
    if not done:
        stopping.cancel()
    elif not stopping.cancelled() and (error := stopping.exception()) is not None:
        LOGGER.info("a client of Kafka did not stop cleanly: %s", type(error).__name__)


async def why(options: KafkaOptions, error: Exception) -> LogUnavailable:
    """What keeps a client from starting: the first trouble that a broker's own answer shows, else ``error``'s kind."""
    for host, port in options.brokers:
        found = await _trouble(options, host, port)
        if found is not None:
            return found
    cure = "The named brokers answer: see that those they advertise (advertised.listeners) can be reached from here too."
    return LogUnavailable(f"Kafka does not answer: {type(error).__name__}", where="BACKBONE_LOG", cure=cure)


async def _trouble(options: KafkaOptions, host: str, port: int) -> LogUnavailable | None:
    try:
        async with asyncio.timeout(ASKED_S):
            connection = await create_conn(host, port, **options.connection())
            try:  # a listener that wants a user lets anybody connect, and hangs up at the first question
                await connection.send(MetadataRequest([]))
            finally:
                connection.close()
    except Exception as error:  # the library lets through whatever the socket, TLS or log-in raised
        message, cure = next((says for kind, says in _TROUBLES if isinstance(error, kind)), _UNKNOWN)
        return LogUnavailable(message, where=f"BACKBONE_LOG, {host}:{port}", cure=f"{cure} ({type(error).__name__})")
    return None


_CLOSED = (
    "the broker closes the connection",
    "The listener may want what BACKBONE_LOG does not say, TLS or a user, or not know what it says.",
)
_TROUBLES: tuple[tuple[type[Exception], tuple[str, str]], ...] = (
    (
        ssl.SSLCertVerificationError,
        ("the broker's certificate is not one that tls= vouches for", "Name the authority that signed it after tls=."),
    ),
    (ssl.SSLError, ("the broker does not speak TLS", "Name the port of its TLS listener, or leave out tls=.")),
    (
        SaslAuthenticationFailed,
        (
            "the broker refuses the user or the password",
            "Correct them in BACKBONE_LOG; kafka-configs.sh sets a new one.",
        ),
    ),
    (
        UnsupportedSaslMechanismError,
        ("the broker does not take SCRAM-SHA-512", "Add it to sasl.enabled.mechanisms, or name another listener's port."),
    ),
    (TimeoutError, ("the broker does not answer", "See that it runs, and that no firewall is between.")),
    (ConnectionResetError, _CLOSED),
    (socket.gaierror, ("no host of that name is known", "Correct the host's name, or see that this machine can resolve it.")),
    (OSError, ("no broker listens there", "Correct host and port, or start the broker.")),
    (KafkaError, _CLOSED),
)
"""Kind of error → what it means and the cure; the special before the general."""
_UNKNOWN = ("the broker does not answer as Kafka does", "See that host and port are those of a Kafka listener.")
