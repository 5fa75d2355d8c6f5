"""The ports on either side of the runner: what is followed, and who handles what comes.

A handler keeps positions of its own, wherever it keeps what it makes: projections keep them in the store, a delivery in the
ledger. The runner knows neither.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Protocol

from schemas.log import Claim, Follower, Record


class Handler(Protocol):
    """Handles records of some topics, each once whatever goes wrong: its effects and its positions commit together."""

    @property
    def topics(self) -> Sequence[str]:
        """What it handles."""
        ...

    async def claim(self, topic: str, starts: Mapping[int, int]) -> Mapping[str, Mapping[int, int]]:
        """Take these partitions over from whoever had them, who can commit nothing more from then on.

        Returns the next offset wanted from each, by the name of whose position it is: from ``starts`` where none was read.
        """
        ...

    async def apply(self, records: Sequence[Record]) -> Sequence[Record]:
        """Handle ``records``, move past them, and return those that had not been handled before.

        Records of one partition come in offset order, from the one before the next wanted on, so that the handler can see
        whether that is still the one it handled last. When this returns, what it did is committed; that anybody was told of it
        is not said. Raises `schemas.errors.PositionLost` when another owner has taken a partition over, and
        `schemas.errors.EngineUnavailable` when what it writes to does not answer for long.
        """
        ...


class Followed(Protocol):
    """What a runner follows: an `schemas.log.EventLog`, or whatever else gives records a place and an order."""

    async def starts(self, topic: str) -> Mapping[int, int]:
        """See `schemas.log.EventLog.starts`."""
        ...

    async def ends(self, topic: str) -> Mapping[int, int]:
        """See `schemas.log.EventLog.ends`."""
        ...

    def follow(self, topics: Sequence[str], group: str, claim: Claim) -> AbstractAsyncContextManager[Follower]:
        """See `schemas.log.EventLog.follow`."""
        ...
