"""Statements compiled once and run often.

SQLAlchemy writes the SQL for each engine. The SQL text is kept, so that running a statement costs the driver's time only, not
SQLAlchemy's (60 µs to look a statement up, 300 µs to build one). Parameters are positional. Within a transaction the driver
is called directly (`consumers.database.driver`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import orjson
from sqlalchemy import ARRAY, Boolean, ColumnElement, FromClause, bindparam, cast, column, func, select, text
from sqlalchemy.engine.interfaces import Dialect
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql import ClauseElement
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.types import TypeEngine

from consumers.database.driver import driver_of


class Composed(NamedTuple):
    """A statement compiled for one driver."""

    text: str
    names: tuple[str, ...]
    """Names of the parameters, in order."""
    constants: Mapping[str, Any]
    """Parameters whose values are part of the statement itself."""

    def bind(self, values: Mapping[str, Any]) -> tuple[Any, ...]:
        """The parameters, given by name, in their order."""
        constants = self.constants
        return tuple([values[name] if name in values else constants[name] for name in self.names])


Compose = Callable[[bool], ClauseElement]
"""Makes a statement; the argument says whether it is for SQLite."""


class SqlStatement:
    """One statement, compiled once for each driver it is used with."""

    __slots__ = ("_clause", "_composed")

    def __init__(self, clause: ClauseElement | Compose) -> None:
        self._clause = clause
        self._composed: dict[str, Composed] = {}

    def on(self, dialect: Dialect) -> Composed:
        """The statement compiled for ``dialect``."""
        found = self._composed.get(dialect.driver)
        if found is None:
            clause = self._clause if isinstance(self._clause, ClauseElement) else self._clause(dialect.name == "sqlite")
            compiled: Any = clause.compile(dialect=dialect)
            constants = {name: one.value for one, name in compiled.bind_names.items() if not one.required}
            found = self._composed[dialect.driver] = Composed(str(compiled), tuple(compiled.positiontup or ()), constants)
        return found

    async def rows(self, connection: AsyncConnection, values: Mapping[str, Any] | None = None) -> Sequence[Any]:
        """Its rows, given its parameters by name."""
        composed = self.on(connection.dialect)
        return (await connection.exec_driver_sql(composed.text, composed.bind(values or {}))).all()

    async def tuples(self, connection: AsyncConnection, values: Mapping[str, Any]) -> Sequence[tuple[Any, ...]]:
        """Like `rows`, but as plain tuples: for reads within a transaction, many times a second."""
        composed = self.on(connection.dialect)
        return await driver_of(connection).rows(connection, composed.text, composed.bind(values))

    async def changed(self, connection: AsyncConnection, values: Mapping[str, Any]) -> int:
        """Run it once and return how many rows it changed."""
        composed = self.on(connection.dialect)
        return await driver_of(connection).changed(connection, composed.text, composed.bind(values))


class Among(ColumnElement[bool]):
    """``column`` is one of a list given as a single parameter, so that the SQL does not depend on the length of the list."""

    inherit_cache = True
    type = Boolean()
    _is_implicitly_boolean = True
    """Otherwise SQLAlchemy would add ``= 1`` for SQLite, which then scans the whole table."""

    def __init__(self, among: ColumnElement[Any], name: str, kind: str = "TEXT") -> None:
        self.column, self.kind = among, kind
        self.parameter: ColumnElement[Any] = bindparam(name)


@compiles(Among, "sqlite")
def _among_sqlite(element: Among, compiler: SQLCompiler, **more: Any) -> str:
    among, parameter = compiler.process(element.column, **more), compiler.process(element.parameter, **more)
    return f"{among} IN (SELECT value FROM json_each({parameter}))"  # noqa: S608 # nosec B608 - two names and a placeholder


@compiles(Among, "postgresql")
def _among_postgresql(element: Among, compiler: SQLCompiler, **more: Any) -> str:
    among, parameter = compiler.process(element.column, **more), compiler.process(element.parameter, **more)
    return f"{among} = ANY(CAST({parameter} AS {element.kind}[]))"


def listed(values: Iterable[Any], dialect: Dialect) -> Any:
    """``values`` as the parameter of an `Among`."""
    found = list(values)
    return orjson.dumps(found).decode() if dialect.name == "sqlite" else found


def given(sqlite: bool, **columns: TypeEngine[Any]) -> FromClause:
    """Rows passed as parameters (`given_rows`), as a table to join with."""
    if sqlite:
        rows = func.json_each(bindparam("given")).table_valued("value", name="rows")
        parts = (func.json_extract(rows.c.value, text(f"'$[{place}]'")).label(name) for place, name in enumerate(columns))
        return select(*parts).subquery("given")
    lists = (cast(bindparam(name), ARRAY(kind)) for name, kind in columns.items())
    named = (column(name, kind) for name, kind in columns.items())
    return func.unnest(*lists).table_valued(*named).render_derived(name="given")


def given_rows(rows: Sequence[tuple[Any, ...]], names: Sequence[str], dialect: Dialect) -> Mapping[str, Any]:
    """``rows`` as the parameters for a `given` table with columns of these names."""
    if dialect.name == "sqlite":
        return {"given": orjson.dumps(rows).decode()}
    return {name: [row[place] for row in rows] for place, name in enumerate(names)}
