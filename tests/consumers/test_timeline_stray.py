"""Which fact a stray withdrawal belongs to is returned: no version is changed on the way."""

from __future__ import annotations

from collections import defaultdict

import msgspec

from consumers.timeline.versions.compose import ComposedEvent, compose
from consumers.timeline.versions.stray import Aim, aim
from tests.consumers.build import SOURCES, logged
from tests.consumers.histories import everything


def test_finding_the_fact_of_a_stray_withdrawal_changes_no_version() -> None:
    composed = [compose(record, SOURCES) for record in logged(everything())]
    before = [msgspec.structs.replace(one.version) for one in composed]
    stated = {one.version.fact for one in composed if not one.version.withdraws}
    stays: defaultdict[tuple[str, str | None], list[ComposedEvent]] = defaultdict(list)
    for one in composed:
        stays[one.version.record, one.version.correlation].append(one)
    aims: dict[int, Aim] = {}
    for of_stay in stays.values():
        aims |= aim(of_stay, stated)
    assert any(found.named and found.fact != found.named for found in aims.values()), "a stray one has found its fact"
    assert [one.version for one in composed] == before
