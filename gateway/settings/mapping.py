"""Reads the text of a mapping file, whichever program saved it."""

from __future__ import annotations

from pathlib import Path

from schemas.errors import MappingError

UTF8 = "utf-8-sig"
"""With the mark that editors on Windows put before it, or without."""


def mapping_text(file: Path) -> str:
    """The text of the mapping ``file``. Raises `MappingError` when it cannot be read or is not UTF-8."""
    try:
        content = file.read_bytes()
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise MappingError(
            f"the mapping file cannot be read: {reason}", where=str(file), cure="Correct its path or rights."
        ) from None
    try:
        return content.decode(UTF8)
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        raise MappingError("the mapping file is not UTF-8", where=f"{file}, line {line}", cure="Save it as UTF-8.") from None
