"""Content of unknown length, held in memory while small and in a temporary file beyond."""

from __future__ import annotations

import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import BinaryIO, cast

from schemas.errors import EngineUnavailable

IN_MEMORY_BYTES = 1024 * 1024
"""What is more is written to a temporary file: a hundred large uploads at once then cost a hundred MiB at most."""


@asynccontextmanager
async def spooled(chunks: AsyncIterator[bytes]) -> AsyncIterator[BinaryIO]:
    """``chunks`` as a file at its start, for as long as the context is open.

    Raises `EngineUnavailable` when the disk takes no more, and what ``chunks`` raises.
    """
    with tempfile.SpooledTemporaryFile(max_size=IN_MEMORY_BYTES) as spool:
        async for chunk in chunks:
            try:
                spool.write(chunk)
            except OSError:
                cure = "Nothing was taken in: make room in the folder for temporary files, then send it again."
                raise EngineUnavailable("the disk takes no more", cure=cure) from None
        spool.seek(0)
        yield cast(BinaryIO, spool)
