"""A record's place in its topic as one number: the partition and the offset in it.

Within a partition places rise in the order of the log. Across partitions they only have to stay the same for ever.
"""

from __future__ import annotations

from schemas.log import Record

OFFSET_BITS = 48
"""Bits for the offset, of 63: room for 32,768 partitions of 2.8 × 10^14 records each."""


def place(partition: int, offset: int) -> int:
    """The place of the record at ``offset``."""
    return partition << OFFSET_BITS | offset


def place_of(record: Record) -> int:
    """The place of ``record``."""
    return place(record.partition, record.offset)


def named(projection: str, topic: str, partition: int, offset: int) -> str:
    """A position in words, for an error's ``where``."""
    return f"{projection}, {topic}, partition {partition}, offset {offset}"
