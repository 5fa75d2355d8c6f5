"""``backbone ingest``: files through the same intake as every door, with or without a running server."""

from __future__ import annotations

import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, BinaryIO, cast

import msgspec
import typer

from gateway.composition.factory import Factory
from gateway.terminal.frame import DONE, REJECTED, Call
from gateway.terminal.show import json_line, receipt_lines
from schemas.errors import InvalidRequest

if TYPE_CHECKING:
    from adapters.intake.receive import Intake
    from schemas.arrival.receipt import Receipt
    from schemas.source import Source

DOOR = "cli"
STANDARD_INPUT = "-"
IN_MEMORY_BYTES = 1024 * 1024
"""Standard input longer than this goes into a temporary file, as the intake reads content twice."""
TOLD_EVERY = 100_000
"""Items between two lines of progress where no bar can be drawn."""

SourceId = Annotated[str, typer.Argument(metavar="SOURCE", help="Id of a declared source.")]
Files = Annotated[list[Path], typer.Argument(metavar="FILE…", help="What the source sent; - is standard input.")]
MediaType = Annotated[str, typer.Option(help="Media type; by default by the file's suffix, else by what the source reads.")]


class UnreadableFile(InvalidRequest):
    """The file that was named cannot be read."""

    code = "file-unreadable"
    cure = "Name a file that exists and that you may read, or - for standard input."


async def ingest(call: Call, source: SourceId, files: Files, media_type: MediaType = "") -> int:
    """Take in ``files`` as coming from ``source`` and print their receipts."""
    async with Factory(call.settings()) as make:
        declared = make.source(source).source
        intake = await make.intake()
        receipts = [await _take_in(intake, declared, file, media_type, call) for file in files]
    return REJECTED if any(receipt.rejected for receipt in receipts) else DONE


async def _take_in(intake: Intake, source: Source, file: Path, media_type: str, call: Call) -> Receipt:
    from adapters.intake.receive import Delivery
    from gateway.shapes import view

    with opened(file) as content, progress(content, quiet=call.json) as tell:
        delivery = Delivery(source, DOOR, content, media_type or media_type_of(file), file.name)
        receipt = await intake.receive(delivery, tell)
    shown = msgspec.to_builtins(view(receipt))
    if call.json:
        json_line(shown)
    else:
        receipt_lines(shown | {"name": file.name})
    return receipt


def media_type_of(file: Path) -> str:
    """The media type that the file's suffix stands for."""
    from adapters.sources.folder import ANY_TYPE, MEDIA_TYPES

    return MEDIA_TYPES.get(file.suffix.lower(), ANY_TYPE)


@contextmanager
def opened(file: Path) -> Iterator[BinaryIO]:
    """The content of ``file``, seekable. Raises `UnreadableFile`."""
    if str(file) != STANDARD_INPUT:
        with _open(file) as content:
            yield content
        return
    with tempfile.SpooledTemporaryFile(max_size=IN_MEMORY_BYTES) as spool:
        shutil.copyfileobj(sys.stdin.buffer, spool)
        spool.seek(0)
        yield cast(BinaryIO, spool)


def _open(file: Path) -> BinaryIO:
    try:
        return file.open("rb")
    except OSError as error:
        raise UnreadableFile(error.strerror or "", where=str(file)) from None


@contextmanager
def progress(content: BinaryIO, *, quiet: bool) -> Iterator[Callable[[int], None]]:
    """A function that reports the number of items so far on standard error: as a bar on a terminal, else as a line now and
    then."""
    if quiet:
        yield lambda items: None
    elif not sys.stderr.isatty():
        yield _lines()
    else:
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

        size = content.seek(0, 2)
        content.seek(0)
        columns = (BarColumn(), TextColumn("{task.percentage:>3.0f} %"), TextColumn("{task.fields[items]:,} items"))
        with Progress(*columns, TimeRemainingColumn(), console=Console(stderr=True), transient=True) as bar:
            task = bar.add_task("", total=size, items=0)
            yield lambda items: bar.update(task, completed=content.tell(), items=items)


def _lines() -> Callable[[int], None]:
    told = 0

    def tell(items: int) -> None:
        nonlocal told
        if items - told >= TOLD_EVERY:
            told = items
            print(f"{items:,} items so far", file=sys.stderr)

    return tell
