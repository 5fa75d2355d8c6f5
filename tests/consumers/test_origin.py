"""A store remembers which log it was filled from, and no other one is put on top."""

from __future__ import annotations

import asyncio

import pytest

from consumers.database.database import Database
from consumers.store.origin import remember, require
from consumers.store.tables import ORIGIN
from schemas.errors import OtherLogError
from tests.stores import rows

pytestmark = pytest.mark.asyncio


async def test_the_first_log_is_remembered_and_another_one_refused(store: Database) -> None:
    await require(store, "kafka:a/")
    await remember(store, "kafka:a/")
    await remember(store, "kafka:a/")
    await require(store, "kafka:a/")
    for use in (remember, require):
        with pytest.raises(OtherLogError, match="filled from kafka:a/, this log is kafka:b/"):
            await use(store, "kafka:b/")


async def test_a_log_without_a_name_is_not_put_on_top_of_one_that_has_one(store: Database) -> None:
    await remember(store, "")
    await require(store, "kafka:a/")
    await remember(store, "kafka:a/")
    with pytest.raises(OtherLogError, match="this log is one without identity"):
        await remember(store, "")


async def test_processes_that_start_together_agree(store: Database) -> None:
    await asyncio.gather(*(remember(store, "kafka:a/") for _ in range(4)))
    assert await rows(store, ORIGIN) == {"origin": [(1, "kafka:a/")]}
