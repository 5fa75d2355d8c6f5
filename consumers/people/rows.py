"""The SQL statements with which the people projection reads and writes its tables."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from typing import Any

import msgspec
from sqlalchemy import Text, delete, or_, select, tuple_
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.sql import ClauseElement

from consumers.database.insertion import Insertion, keep
from consumers.database.revision import Revision
from consumers.database.statement import Among, SqlStatement, given, given_rows, listed
from consumers.people.link import Merge
from consumers.people.record import COLUMNS, RecordRow
from consumers.people.tables import PeopleTables

_MERGE = ("fact", "old", "new", "order", "place")
_CHANGING = [name for name in COLUMNS if name not in ("key", "source")]


class PeopleRows:
    """Reads and writes ``tables``; contains no rules."""

    def __init__(self, tables: PeopleTables) -> None:
        record, merge, former, local_id = tables
        wanted = select(record).where(Among(record.c.key, "keys"))
        touching = or_(Among(merge.c.old, "keys"), Among(merge.c.new, "keys"), Among(merge.c.fact, "facts"))

        def newest(fresh: Any) -> ClauseElement:
            newer = tuple_(fresh.excluded.order, fresh.excluded.place) > tuple_(merge.c.order, merge.c.place)
            changed = {name: fresh.excluded[name] for name in ("new", "order", "place")}
            noted: ClauseElement = fresh.on_conflict_do_update(index_elements=["fact", "old"], set_=changed, where=newer)
            return noted

        def drop(sqlite: bool) -> ClauseElement:
            asked = given(sqlite, person=Text(), record=Text())
            return delete(former).where(tuple_(former.c.person, former.c.record).in_(select(asked.c.person, asked.c.record)))

        # SQLite has one writer at a time. Elsewhere rows are locked in the order of their keys, so that processes that work on
        # the same people wait for each other.
        self._records = SqlStatement(lambda sqlite: wanted if sqlite else wanted.order_by(record.c.key).with_for_update())
        self._insert = Insertion(record)
        self._update = Revision(record, _CHANGING, ["key"])
        self._merges = SqlStatement(select(*(merge.c[name] for name in _MERGE)).where(touching))
        self._of_facts = SqlStatement(select(*(merge.c[name] for name in _MERGE)).where(Among(merge.c.fact, "facts")))
        self._note = Insertion(merge, newest)
        self._formers = SqlStatement(select(former.c.person, former.c.record).where(Among(former.c.record, "keys")))
        self._add_former = Insertion(former, keep)
        self._drop_former = SqlStatement(drop)
        self._add_local_id = Insertion(local_id, keep)

    async def records(self, keys: Collection[str], connection: AsyncConnection) -> list[RecordRow]:
        """The rows of ``keys``, kept from all other writers until this transaction ends."""
        found = await self._records.tuples(connection, {"keys": listed(sorted(keys), connection.dialect)})
        return [RecordRow(*row) for row in found]

    async def insert(self, rows: Sequence[RecordRow], connection: AsyncConnection) -> None:
        """Add new records. If another process adds one of them at the same time the transaction fails, and is to be tried
        again."""
        ordered = sorted(rows, key=lambda row: row.key)
        await self._insert.put(connection, [msgspec.structs.astuple(row) for row in ordered])

    async def update(self, rows: Sequence[RecordRow], connection: AsyncConnection) -> None:
        """Write stored records anew."""
        await self._update.make(connection, [(*(getattr(row, name) for name in _CHANGING), row.key) for row in rows])

    async def merges(self, keys: Collection[str], connection: AsyncConnection) -> list[Merge]:
        """Every statement of the facts that merge one of ``keys``, including withdrawals."""
        asked = {"keys": listed(keys, connection.dialect), "facts": listed((), connection.dialect)}
        touching = [Merge(*row) for row in await self._merges.tuples(connection, asked)]
        facts = {merge.fact for merge in touching}
        return await self.of_facts(facts, connection) if facts else []

    async def of_facts(self, facts: Collection[str], connection: AsyncConnection) -> list[Merge]:
        """Every statement of these facts, including withdrawals."""
        asked = {"facts": listed(facts, connection.dialect)}
        return [Merge(*row) for row in await self._of_facts.tuples(connection, asked)]

    async def note(self, merges: Iterable[Merge], connection: AsyncConnection) -> None:
        """Keep statements of merges, only the newest for each fact and record."""
        await self._note.put(connection, [tuple(merge) for merge in sorted(merges)])

    async def formers(self, keys: Collection[str], connection: AsyncConnection) -> set[tuple[str, str]]:
        """Pairs (person, record): the earlier person ids of the records ``keys``."""
        return set(await self._formers.tuples(connection, {"keys": listed(keys, connection.dialect)}))

    async def former(
        self, add: Iterable[tuple[str, str]], drop: Iterable[tuple[str, str]], connection: AsyncConnection
    ) -> None:
        """Keep, or forget, earlier person ids of records: pairs (person, record)."""
        dropped = sorted(drop)
        if dropped:
            await self._drop_former.changed(connection, given_rows(dropped, ("person", "record"), connection.dialect))
        await self._add_former.put(connection, sorted(add))

    async def local_ids(self, pairs: Iterable[tuple[str, str]], connection: AsyncConnection) -> None:
        """Keep other local identifiers: pairs (key, record)."""
        await self._add_local_id.put(connection, sorted(pairs))
