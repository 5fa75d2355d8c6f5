"""Starts and stops the library's clients.

A failed start gives the same error for every cause ("unable to bootstrap"), so `why` connects to one broker after the other to
find the cause. A stop waits for ever while the brokers are gone (aio-libs/aiokafka #1101), so it is given up after `STOP_S`.
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
"""Longest wait for a client to start."""
STOP_S = 5.0
"""Longest wait for a client to stop."""
LOOK = "Check that its brokers run: more than half of its controllers, and for each partition a replica that is in sync."
"""The cure if Kafka did not answer a client's request."""
ASKED_S = 5.0
"""Longest wait for one broker while `why` looks for the cause."""


class Client(Protocol):
    """The part of a producer or consumer that is used here."""

    async def start(self) -> None: ...

    def stop(self) -> Coroutine[Any, Any, None]: ...


async def started(client: Client, options: KafkaOptions) -> None:
    """Start ``client``. If that fails or is cancelled, the client is stopped.

    Raises a `LogUnavailable` that names the cause.
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
    """Stop ``client``, or give up after `STOP_S`.

    It is stopped in a task of its own: the library lets the cancellation of its own tasks through, which would cancel ours too.
    """
    stopping = asyncio.create_task(client.stop(), name="kafka-client-stop")
    done, _ = await asyncio.wait((stopping,), timeout=STOP_S)
    if not done:
        stopping.cancel()
    elif not stopping.cancelled() and (error := stopping.exception()) is not None:
        LOGGER.info("a client of Kafka did not stop cleanly: %s", type(error).__name__)


async def why(options: KafkaOptions, error: Exception) -> LogUnavailable:
    """Why a client cannot start: the first problem found by connecting to each broker, else the type of ``error``."""
    for host, port in options.brokers:
        found = await _trouble(options, host, port)
        if found is not None:
            return found
    cure = "The named brokers answer: check that those they advertise (advertised.listeners) can be reached from here too."
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
    "The listener may require TLS or a user that BACKBONE_LOG does not have, or not support those it has.",
)
_TROUBLES: tuple[tuple[type[Exception], tuple[str, str]], ...] = (
    (
        ssl.SSLCertVerificationError,
        ("the broker's certificate is not signed by the authority of tls=", "Name the authority that signed it after tls=."),
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
    (TimeoutError, ("the broker does not answer", "Check that it runs, and that no firewall is in between.")),
    (ConnectionResetError, _CLOSED),
    (socket.gaierror, ("no host of that name is known", "Correct the host's name, or see that this machine can resolve it.")),
    (OSError, ("no broker listens there", "Correct host and port, or start the broker.")),
    (KafkaError, _CLOSED),
)
"""Type of error to its meaning and cure; specific types before general ones."""
_UNKNOWN = ("the broker does not answer as Kafka does", "Check that host and port are those of a Kafka listener.")
