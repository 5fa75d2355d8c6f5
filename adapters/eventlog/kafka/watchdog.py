"""Notices a consumer that is stuck: records lie before it and it moves nowhere. Pure: it is told positions, ends and the time.

Consumers have been seen to stop without a word (aio-libs/aiokafka #847, #983, #1037): alive, a member of the group, and reading
nothing. No error ends such a state, so a new process has to.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping

from schemas.errors import ConsumerStuck


class Watchdog:
    """Looks at positions and ends now and then; ``patience`` is in seconds."""

    def __init__(self, patience: float) -> None:
        self._patience = patience
        self._since: dict[Hashable, tuple[int, float]] = {}
        """For each place that lags: the position it stood at, and since when."""

    @property
    def every(self) -> float:
        """Seconds between two looks: often enough to be late by a quarter at most."""
        return self._patience / 4

    def look(self, positions: Mapping[Hashable, int], ends: Mapping[Hashable, int], at: float) -> None:
        """Note where each place stands at the time ``at``.

        Raises `ConsumerStuck` when one has stood still for longer than the patience with records before it.
        """
        lagging = {place: position for place, position in positions.items() if position < ends.get(place, position)}
        self._since = {
            place: self._since[place] if self._since.get(place, (-1, 0.0))[0] == position else (position, at)
            for place, position in lagging.items()
        }
        stuck = [place for place, (_, since) in self._since.items() if at - since > self._patience]
        if stuck:
            raise ConsumerStuck(f"{len(stuck)} partition(s) have not moved for {self._patience:g} s, with records before them")
