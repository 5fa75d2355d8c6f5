"""What is done to a production shape under load: one row a fault, drawn by a seeded chance."""

from __future__ import annotations

import random
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import psycopg

from deploy.local.backbone import BackboneProcess
from deploy.local.production import Production

LONG_S = 30.0
"""Of a stall: longer than the session of any broker or member, as long as an append or a statement may take."""


class Fault(NamedTuple):
    """One kind."""

    name: str
    weight: int
    """How often among the others."""
    strike: Callable[[Production, random.Random], None]
    """Does it, and undoes it."""


def _kill_broker(shape: Production, chance: random.Random) -> None:
    node = chance.choice(shape.kafka.members)
    shape.kafka.kill(node)
    time.sleep(chance.uniform(0.1, 3))
    shape.kafka.restart(node)
    shape.kafka.await_port(node)


def _kill_two_brokers(shape: Production, chance: random.Random) -> None:
    nodes = chance.sample(shape.kafka.members, 2)
    for node in nodes:
        shape.kafka.kill(node)
    time.sleep(chance.uniform(0.5, 3))
    for node in nodes:
        shape.kafka.restart(node)
    for node in nodes:
        shape.kafka.await_port(node)


def _stop_broker_politely(shape: Production, chance: random.Random) -> None:
    node = chance.choice(shape.kafka.members)
    shape.kafka.kill(node, signal.SIGTERM)
    shape.kafka.restart(node)
    shape.kafka.await_port(node)


def _freeze_broker(shape: Production, chance: random.Random) -> None:
    _broker_stands_still(shape, chance, chance.choice((1, 4, 12)))  # below and above the session of a broker (6 s)


def _freeze_broker_long(shape: Production, chance: random.Random) -> None:
    _broker_stands_still(shape, chance, LONG_S)


def _broker_stands_still(shape: Production, chance: random.Random, seconds: float) -> None:
    node = chance.choice(shape.kafka.members)
    shape.kafka.kill(node, signal.SIGSTOP)
    time.sleep(seconds)
    shape.kafka.kill(node, signal.SIGCONT)


def _kill_store(shape: Production, chance: random.Random) -> None:
    shape.postgres.kill()
    time.sleep(chance.uniform(0, 2))
    shape.postgres.start()


def _freeze_store(shape: Production, chance: random.Random) -> None:
    _store_stands_still(shape, chance.uniform(0.5, 5))


def _freeze_store_long(shape: Production, chance: random.Random) -> None:
    _store_stands_still(shape, LONG_S)


def _store_stands_still(shape: Production, seconds: float) -> None:
    shape.postgres.kill(signal.SIGSTOP)
    time.sleep(seconds)
    shape.postgres.kill(signal.SIGCONT)


def _drop_store_connections(shape: Production, chance: random.Random) -> None:
    with psycopg.connect(shape.postgres.url(), autocommit=True) as store:
        store.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE pid <> pg_backend_pid() AND datname = current_database()"
        )


def _kill(process: BackboneProcess, chance: random.Random) -> None:
    process.kill()
    time.sleep(chance.uniform(0, 0.5))
    process.start()


def _kill_intake(shape: Production, chance: random.Random) -> None:
    _kill(shape.of("intake"), chance)


def _kill_gateway(shape: Production, chance: random.Random) -> None:
    _kill(shape.of("gateway"), chance)


def _kill_projections(shape: Production, chance: random.Random) -> None:
    _kill(chance.choice(_projecting(shape)), chance)


def _zombie(shape: Production, chance: random.Random) -> None:
    """Frozen until the group has given its partitions to another, then woken in the middle of what it was doing."""
    process = chance.choice(_projecting(shape))
    process.kill(signal.SIGSTOP)
    time.sleep(13)  # the group's session is 10 s
    process.kill(signal.SIGCONT)


def _projecting(shape: Production) -> list[BackboneProcess]:
    return [process for process in shape.processes if process.roles == "projections"]


FAULTS = (
    Fault("kill -9 of a broker", 4, _kill_broker),
    Fault("kill -9 of two brokers of three", 1, _kill_two_brokers),
    Fault("a broker restarted politely", 2, _stop_broker_politely),
    Fault("a broker frozen for 1 to 12 s", 1, _freeze_broker),
    Fault("kill -9 of PostgreSQL", 4, _kill_store),
    Fault("PostgreSQL frozen for up to 5 s", 2, _freeze_store),
    Fault("connections to PostgreSQL dropped", 6, _drop_store_connections),
    Fault("kill -9 of the intake", 5, _kill_intake),
    Fault("kill -9 of the gateway", 2, _kill_gateway),
    Fault("kill -9 of a projections process", 5, _kill_projections),
    Fault("a projections process frozen past its session, then woken", 1, _zombie),
)


LONG = (
    Fault("a broker frozen for half a minute", 1, _freeze_broker_long),
    Fault("PostgreSQL frozen for half a minute", 1, _freeze_store_long),
)
"""Stalls that take too long for `make test`."""


def drawn(chance: random.Random, count: int, kinds: Sequence[Fault]) -> Iterator[Fault]:
    """So many faults: each of ``kinds`` once as long as they reach, then by weight; in an order of chance."""
    first = list(kinds)[:count]
    rest = chance.choices(kinds, [fault.weight for fault in kinds], k=count - len(first))
    order = [*first, *rest]
    chance.shuffle(order)
    yield from order
