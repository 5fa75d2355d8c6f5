"""One observer that tells several: metrics and traces see the same reports of the intake and of the projections."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Protocol

from adapters.observe import ArrivalKind, IntakeObserver
from consumers.observe import ProjectionObserver
from schemas.log import Record


class Observer(IntakeObserver, ProjectionObserver, Protocol):
    """What observes both the intake and the projections."""


class Observers:
    """Tells each of ``observers``, in their order, everything it is told."""

    def __init__(self, *observers: Observer) -> None:
        self._observers = observers

    @contextmanager
    def arriving(self, kind: ArrivalKind, source: str, door: str, traceparent: str) -> Iterator[str]:
        with ExitStack() as entered:
            for each in self._observers:
                traceparent = entered.enter_context(each.arriving(kind, source, door, traceparent))
            yield traceparent

    def arrived(self, source: str, door: str, accepted: int, rejected: int) -> None:
        for each in self._observers:
            each.arrived(source, door, accepted, rejected)

    def repeated(self, source: str, door: str, accepted: int, rejected: int) -> None:
        for each in self._observers:
            each.repeated(source, door, accepted, rejected)

    def appended(self, records: int, seconds: float) -> None:
        for each in self._observers:
            each.appended(records, seconds)

    def faulted(self, door: str, code: str) -> None:
        for each in self._observers:
            each.faulted(door, code)

    def connected(self, door: str, connections: int) -> None:
        for each in self._observers:
            each.connected(door, connections)

    def applied(self, records: Sequence[Record], seconds: float) -> None:
        for each in self._observers:
            each.applied(records, seconds)
