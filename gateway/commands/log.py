"""``backbone log verify``: reads the whole log."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from gateway.composition.factory import Factory
from gateway.terminal.frame import DONE, UNREACHABLE, Call
from gateway.terminal.show import json_line, table
from schemas.log import TOPICS

if TYPE_CHECKING:
    from adapters.eventlog.verify import Verification

SHOWN = 20
"""Most findings printed for each topic; ``--json`` has them all."""


async def verify(call: Call) -> int:
    """Read every topic from start to end: counts, gaps, checksums."""
    from adapters.eventlog.verify import verify as verify_topic

    async with Factory(call.settings(), writes=False) as make:
        log = await make.log()
        verified = [await verify_topic(log, topic, _progress(quiet=call.json)) for topic in TOPICS]
    if call.json:
        json_line([_described(one) for one in verified])
    else:
        _print(verified)
    return DONE if all(one.sound for one in verified) else UNREACHABLE


def _progress(*, quiet: bool) -> Any:
    read = 0

    def tell(records: int) -> None:
        nonlocal read
        read += records
        if sys.stderr.isatty() and not quiet:
            print(f"\r{read:,} records", end="", file=sys.stderr)

    return tell


def _described(one: Verification) -> dict[str, Any]:
    return {
        "topic": one.topic,
        "sound": one.sound,
        "records": one.records,
        "partitions": {str(number): count._asdict() for number, count in one.partitions.items()},
        "counts": {str(kind): count for kind, count in one.counts.items()},
        "findings": [finding._asdict() for finding in one.findings],
    }


def _print(verified: list[Verification]) -> None:
    if sys.stderr.isatty():
        print("\r" + " " * 40 + "\r", end="", file=sys.stderr)
    rows = [(one.topic, f"{one.records:,}", *one.counts.values(), "sound" if one.sound else "broken") for one in verified]
    table(("Topic", "Records", *(str(kind).capitalize() for kind in verified[0].counts), "Verdict"), rows)
    for one in verified:
        for finding in one.findings[:SHOWN]:
            print(f"{one.topic}, partition {finding.partition}, offset {finding.offset}: {finding.kind}, {finding.reason}")
    if not all(one.sound for one in verified):
        print("Restore the log from a backup, or from the senders; what was read stays readable.")
