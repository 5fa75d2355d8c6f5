"""Parameters of a path as a table: each row is read, refused and documented by the same words.

What the table does not name is refused, and so is a parameter given twice that may be given once: a misspelt filter must not
widen an answer in silence. A refusal never repeats a value.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from typing import Any, NamedTuple

from starlette.requests import Request

from gateway.uses.asked import pairs_of
from gateway.uses.values import ValueKind
from schemas.errors import InvalidRequest


class Parameter(NamedTuple):
    """One query parameter."""

    name: str
    kind: ValueKind
    says: str
    many: bool = False
    """May be repeated, or hold several values with commas between."""


class Parameters:
    """The query parameters of one path."""

    def __init__(self, *rows: Parameter, unknown: str = "") -> None:
        """``unknown`` is the cure for a parameter that is not in the table, where it is another than to correct the name."""
        self._rows = {row.name: row for row in rows}
        self._unknown = unknown

    def read(self, request: Request) -> dict[str, Any]:
        """What the query says, by name: a value, or for ``many`` a frozenset. What it does not say is not there.

        Raises `InvalidRequest`.
        """
        query = request.scope["query_string"]
        return self.parse(query.decode("latin-1")) if query else {}

    def parse(self, text: str) -> dict[str, Any]:
        """What the urlencoded ``text`` says; see `read`."""
        return self.said(pairs_of(text))

    def said(self, pairs: Iterable[tuple[str, str]]) -> dict[str, Any]:
        """What names and values say; see `read`."""
        found: dict[str, Any] = {}
        for name, value in pairs:
            self._add(found, name, value)
        return found

    def __contains__(self, name: object) -> bool:
        return name in self._rows

    def _add(self, found: dict[str, Any], name: str, value: str) -> None:
        row = self._rows.get(name)
        if row is None:
            raise InvalidRequest("this path does not take one of the parameters", where="query", cure=self._known(name))
        if row.many:
            found[name] = found.get(name, frozenset()) | {_read(row, part) for part in value.split(",")}
        elif name in found:
            raise InvalidRequest("given twice", where=f"parameter {name}", cure="Give it once.")
        else:
            found[name] = _read(row, value)

    def _known(self, name: str) -> str:
        if self._unknown:
            return self._unknown
        close = get_close_matches(name.lower(), self._rows, n=1)
        return f"Did you mean {close[0]}?" if close else f"It takes {', '.join(self._rows)}."

    def documented(self, *before: Mapping[str, Any]) -> dict[str, Any]:
        """For ``openapi_extra``: these parameters after those of ``before`` (of the path, of the header)."""
        return {"parameters": [*before, *(_documented(row) for row in self._rows.values())]}


def _read(row: Parameter, text: str) -> Any:
    try:
        return row.kind.read(text)
    except ValueError as error:
        raise InvalidRequest("this cannot be read", where=f"parameter {row.name}", cure=f"Write {error}.") from None


def _documented(row: Parameter) -> dict[str, Any]:
    one = dict(row.kind.schema)
    schema = {"type": "array", "items": one, "minItems": 1} if row.many else one
    return {"name": row.name, "in": "query", "description": row.says, "schema": schema}
