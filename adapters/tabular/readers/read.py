"""Chooses the reader for some content, and reads its rows."""

from __future__ import annotations

from typing import BinaryIO

from adapters.tabular.readers.read_csv import read_csv
from adapters.tabular.readers.read_json import READERS
from adapters.tabular.readers.read_sheet import is_sheet, read_sheet
from adapters.tabular.rows.layout import Layout, Rows


def read(content: BinaryIO, layout: Layout) -> Rows:
    """The rows of ``content`` (seekable), in order, each once; nothing of it when the whole is refused.

    A table is read as what it is: people save a sheet now as xlsx and now as CSV, and a rejected row of a sheet is kept as CSV.

    Raises `Unreadable` or `TooLarge`, before the first row, when the whole is refused.
    """
    other = READERS.get(layout.kind)
    if other:
        return other(content, layout)
    content.seek(0)
    return (read_sheet if is_sheet(content.read(8)) else read_csv)(content, layout)
