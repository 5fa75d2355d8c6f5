"""Detects a stuck consumer: there are records to read, but its position does not move. Pure: it is given positions, ends and
time.

Consumers have been seen to stop silently (aio-libs/aiokafka #847, #983, #1037): alive, a member of the group, and reading
nothing. No error ends this state, so the process has to be restarted.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping

from schemas.errors import ConsumerStuck


class Watchdog:
    """Compares positions and ends at intervals; ``patience`` is in seconds."""

    def __init__(self, patience: float) -> None:
        self._patience = patience
        self._since: dict[Hashable, tuple[int, float]] = {}
        """For each partition that lags: its position, and the time since when it has been there."""

    @property
    def every(self) -> float:
        """Seconds between two comparisons, so that a stuck consumer is noticed late by at most a quarter of the patience."""
        return self._patience / 4

    def look(self, positions: Mapping[Hashable, int], ends: Mapping[Hashable, int], at: float) -> None:
        """Note the position of each partition at the time ``at``.

        Raises `ConsumerStuck` when one has not moved for longer than the patience although there are records to read.
        """
        lagging = {partition: position for partition, position in positions.items() if position < ends.get(partition, position)}
        self._since = {
            partition: self._since[partition] if self._since.get(partition, (-1, 0.0))[0] == position else (position, at)
            for partition, position in lagging.items()
        }
        stuck = [partition for partition, (_, since) in self._since.items() if at - since > self._patience]
        if stuck:
            raise ConsumerStuck(f"{len(stuck)} partition(s) have not moved for {self._patience:g} s, although records wait")
