"""The fields of a row, each with a copy of the row without it: the dry run leaves out one at a time to see what changes."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from urllib.parse import urlencode

import orjson

from adapters.tabular.readers.read_sheet import as_csv
from adapters.tabular.rows.layout import FLAT, Layout, Row
from adapters.translator import Field


def fields_of(row: Row, layout: Layout) -> Iterator[Field]:
    """The fields of ``row`` that hold anything; ``row`` was read with every column wanted."""
    word = "field" if layout.kind not in FLAT or layout.kind == "form" else "column"
    for name, value in row.cells.items():
        with_value = partial(_with_value, row, layout, name)
        yield Field(f'{word} "{name}"', with_value(""), value if isinstance(value, str) else "", with_value)


def _with_value(row: Row, layout: Layout, name: str, text: str) -> bytes:
    """The row with ``text`` in the field ``name``."""
    cells = row.cells | {name: text}
    if layout.kind == "form":
        return urlencode(cells).encode()
    if layout.kind in FLAT:
        header = list(dict.fromkeys((*row.cells, *layout.required)))
        return as_csv(header, [cells.get(column, "") for column in header], layout.delimiter)
    return orjson.dumps(cells)
