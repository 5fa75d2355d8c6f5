"""The fields of a row, each with the row that lacks it: what the dry run finds out by leaving one out at a time."""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import urlencode

import orjson

from adapters.tabular.layout import FLAT, Layout, Row
from adapters.tabular.read_sheet import as_csv
from adapters.translator import Field


def fields_of(row: Row, layout: Layout) -> Iterator[Field]:
    """The fields of ``row`` that hold anything; ``row`` was read with every column wanted."""
    for name in row.cells:
        cells = row.cells | {name: ""}
        if layout.kind == "form":
            yield Field(f'field "{name}"', urlencode(cells).encode())
        elif layout.kind in FLAT:
            header = list(dict.fromkeys((*row.cells, *layout.required)))
            yield Field(f'column "{name}"', as_csv(header, [cells.get(column, "") for column in header], layout.delimiter))
        else:
            yield Field(f'field "{name}"', orjson.dumps(cells))
