"""The port of the event log: what `append`, `read` and `follow` promise, whichever engine is behind them.

Promises every implementation keeps (``tests/contract/test_log.py`` and ``…_follow.py`` hold each to them):

* **Durable.** When `EventLog.append` returns, every record is on disk (embedded) or on all in-sync replicas (Kafka). When it
  raises, each record may or may not be in the log, so send them again. A return does *not* mean that any projection has seen
  them.
* **Ordered per key.** Records of one key are in the log in the order of the calls that appended them, and within a call in the
  order given. Nothing is promised between keys.
* **A resend is harmless, not invisible.** A record appended twice may be read twice; readers recognise it by its id.
* **Bytes.** What was appended is read back byte for byte.
* **Positions.** A partition's first record has offset 0 unless retention removed it; offsets rise and may have gaps.

A call that appends to several topics is atomic only if the implementation says so (`EventLog.atomic`). Put the record that
vouches for the others last; where appends are not atomic, append it in a call of its own once the first has returned.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from typing import NamedTuple, Protocol

from schemas.errors import LogUnavailable

EVENTS = "backbone.events"
"""All events, as structured CloudEvents."""
RECEIPTS = "backbone.receipts"
"""What arrived: source, door, counts, hashes, control ids. See `schemas.arrival.receipt`."""
QUARANTINE = "backbone.quarantine"
"""Rejected input, whole. See `schemas.arrival.quarantine`."""

TOPICS = (EVENTS, RECEIPTS, QUARANTINE)

MARKS = "backbone.marks"
"""Where a log that has nothing but topics keeps its marks (`EventLog.mark`). Nobody follows it."""

PARTITIONS = 24
"""Partitions of a topic unless set: 24 divides evenly among 1, 2, 3, 4, 6, 8, 12 and 24 processes."""


RECORD_BYTES = 32 * 1024 * 1024
"""Largest value that every log accepts: a 16 MiB message whose documents grow by a third in base64, plus its envelope."""


class NewRecord(NamedTuple):
    """What a caller appends."""

    topic: str
    key: str
    """Opaque (promise P12); records of one key keep their order."""
    value: bytes


class Record(NamedTuple):
    """What a reader gets."""

    topic: str
    partition: int
    offset: int
    key: str
    value: bytes
    appended_at: float
    """When the log took it: seconds since the epoch, by the clock of the engine. For lag, never for order."""


class Position(NamedTuple):
    """Where a record stands."""

    topic: str
    partition: int
    offset: int


Claim = Callable[[str, frozenset[int]], Awaitable[Mapping[int, int]]]
"""Called with a topic and the partitions just assigned to this follower, before any of their records are handed out. Returns
the next offset wanted from each. This is where the caller takes ownership of its stored positions, which fences off the
previous owner."""


class Follower(Protocol):
    """One member of a group that shares the partitions of some topics."""

    async def poll(self, limit: int, wait: float) -> Sequence[Record]:
        """The next records of the partitions held, at most ``limit``, in offset order within each partition.

        Waits up to ``wait`` seconds for the first record, then returns at once with whatever is there. A record is handed out
        once, unless a `Claim` goes back to it. A partition may be lost at any time: only a fenced commit settles whose the
        work was.

        Raises `LogUnavailable` when the log cannot be read; close this follower then, and make another.
        """
        ...

    def held(self) -> Iterable[tuple[str, int]]:
        """The (topic, partition) pairs this member holds now.

        For the contract's tests: a `Claim` says what a member gains, and only this what it has lost to another.
        """
        ...


class EventLog(Protocol):
    """An append-only log of topics split into partitions."""

    @property
    def identity(self) -> str:
        """Names this log for ever, so that no other log is mistaken for it. Empty for a log that lives no longer than its
        process."""
        ...

    @property
    def atomic(self) -> bool:
        """Whether one `append` puts either all of its records into the log or none, whatever their topics."""
        ...

    def trouble(self) -> LogUnavailable | None:
        """What keeps the log from taking appends, as far as it is known without one; ``None`` while nothing is known of.

        Quick: nothing is asked of another machine. ``None`` does not mean that the next append succeeds.
        """
        ...

    async def append(self, records: Sequence[NewRecord]) -> Sequence[Position]:
        """Append ``records`` durably and return their positions, in the order given.

        Raises `LogUnavailable` when the log does not take them in time; `TooLarge` when one is over the log's limit, and then
        none of the call's records is appended.
        """
        ...

    async def read(self, topic: str, partition: int, start: int, limit: int) -> Sequence[Record]:
        """Up to ``limit`` records of one partition from offset ``start`` on, oldest first; empty at the end.

        Raises `LogUnavailable`.
        """
        ...

    async def ends(self, topic: str) -> Mapping[int, int]:
        """For each partition of ``topic``, the offset after its last record: 0 when it is empty. Raises `LogUnavailable`."""
        ...

    async def starts(self, topic: str) -> Mapping[int, int]:
        """For each partition of ``topic``, the lowest offset that can still be read. Raises `LogUnavailable`."""
        ...

    async def mark(self, name: str, value: str | None = None) -> str | None:
        """What the log is marked with under ``name``: for ever the first ``value`` that was given, ``None`` while none was.

        Of several that give one at once one is first, and all get that one: an answer other than ``value`` says that somebody
        else was. It is durable when it is answered. Raises `LogUnavailable`.
        """
        ...

    def follow(self, topics: Sequence[str], group: str, claim: Claim) -> AbstractAsyncContextManager[Follower]:
        """Join ``group`` and hold a share of the partitions of ``topics`` while the context is open."""
        ...

    async def close(self) -> None:
        """Release the engine. Appends in progress either finish or raise `LogUnavailable`."""
        ...
