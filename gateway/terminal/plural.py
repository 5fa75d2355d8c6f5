"""A number of things, as people read it."""

from __future__ import annotations


def counted(number: int, thing: str) -> str:
    """``1 test``, ``2,000 tests``."""
    return f"{number:,} {thing}" if number == 1 else f"{number:,} {thing}s"
