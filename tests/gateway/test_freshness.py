"""How far the projections are behind is measured now and then, and says of which moment it is."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from consumers.following.lag import Lag
from gateway.watching.freshness import Freshness

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


class Observer:
    """Keeps what it is told."""

    def __init__(self) -> None:
        self.at: list[datetime] = []

    def behind(self, projection: str, lag: Lag) -> None: ...

    def heard(self, *said: Any) -> None: ...

    def measured(self, at: datetime) -> None:
        self.at.append(at)


@pytest.mark.asyncio
async def test_what_was_acknowledged_before_a_measurement_s_time_is_counted_in_it() -> None:
    now = NOON

    async def slowly() -> Mapping[str, Lag]:
        nonlocal now
        now += timedelta(seconds=30)  # what is appended meanwhile may be counted or not
        return {"timeline": Lag(0, 0.0)}

    async def nobody() -> Mapping[str, datetime]:
        return {}

    observer = Observer()
    await Freshness({}, slowly, nobody, lambda: now, observer).measure()
    assert observer.at == [NOON]
