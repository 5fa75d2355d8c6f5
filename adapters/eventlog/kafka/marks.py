"""The marks of the log: a topic of one partition, in which only the first record of each name counts.

A process that sets a value writes it and then reads which record is first, so that several processes that start at once on an
empty log all read the same value. The topic is not in `schemas.log.TOPICS`: it contains no events, and their readers need not
know it.
"""

from __future__ import annotations

from dataclasses import replace

from adapters.eventlog.kafka.appender import KafkaAppender
from adapters.eventlog.kafka.options import KafkaOptions
from adapters.eventlog.kafka.reader import KafkaReader
from adapters.eventlog.kafka.topics import require_topic
from schemas.log import MARKS, NewRecord

_READ_AT_ONCE = 100
"""There are only a few records: one for each name, and one more for each process that set a value at the same moment."""


async def mark(options: KafkaOptions, name: str, value: str | None) -> str | None:
    """As `schemas.log.EventLog.mark`. Also raises `SettingsError`, when the topic is missing and cannot be created."""
    own = replace(options, partitions=1)
    if not await require_topic(own, MARKS, create=value is not None):
        return None
    reader = KafkaReader(own)
    try:
        found = await _first(reader, name)
        if found is None and value is not None:
            await _write(own, NewRecord(MARKS, name, value.encode()))
            found = await _first(reader, name)
        return found
    finally:
        await reader.close()


async def _write(options: KafkaOptions, record: NewRecord) -> None:
    appender = KafkaAppender(options)
    try:
        await appender.append([record])
    finally:
        await appender.close()


async def _first(reader: KafkaReader, name: str) -> str | None:
    start = (await reader.starts(MARKS))[0]
    while records := await reader.read(MARKS, 0, start, _READ_AT_ONCE):
        for record in records:
            if record.key == name:
                return bytes(record.value).decode()
        start = records[-1].offset + 1
    return None
