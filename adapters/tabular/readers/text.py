"""A binary file as lines of text, for the readers of CSV."""

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import BinaryIO, Protocol

from adapters.tabular.rows.limits import ROW_CHARACTERS_MOST
from schemas.errors import TooLarge


class CsvReader(Protocol):
    """What `csv.reader` makes."""

    line_num: int

    def __iter__(self) -> Iterator[list[str]]: ...
    def __next__(self) -> list[str]: ...


class Text:
    """A binary file as text with its line ends, for the length of a ``with``; the file is not closed and left at its start."""

    def __init__(self, content: BinaryIO, encoding: str) -> None:
        self._content = content
        content.seek(0)
        self._text = io.TextIOWrapper(content, encoding=encoding, newline="")

    def __enter__(self) -> io.TextIOWrapper:
        return self._text

    def __exit__(self, *_: object) -> None:
        if not self._content.closed:
            self._text.detach()
            self._content.seek(0)


def lines(text: io.TextIOWrapper, taken: list[str], most: int = ROW_CHARACTERS_MOST) -> Iterator[str]:
    """The lines of ``text``, each also put into ``taken``, which the reader of a row empties.

    Raises `TooLarge` when the lines taken for one row are too long together: a quote was opened and never closed.
    """
    length = 0
    while line := text.readline(most + 1):
        length = len(line) + (length if taken else 0)
        if length > most:
            raise too_long()
        taken.append(line)
        yield line


def too_long() -> TooLarge:
    """The refusal of a file with a row over the limit."""
    return TooLarge(f"a row has more than {ROW_CHARACTERS_MOST:,} characters", cure=QUOTE)


QUOTE = "Look for a quotation mark that is opened and never closed; nothing was taken in part."
