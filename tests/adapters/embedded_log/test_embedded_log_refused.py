"""What cannot be opened as an embedded log is refused with the cure."""

from __future__ import annotations

import os
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from adapters.eventlog.embedded.log import EmbeddedLog
from schemas.errors import SettingsError
from tests.embedded_log import (
    change,
    numbered,
)

pytestmark = pytest.mark.asyncio

# --- what cannot be opened ---------------------------------------------------------------------------------------------------


async def test_the_log_remembers_its_number_of_partitions(log: EmbeddedLog, path: Path) -> None:
    with pytest.raises(SettingsError, match="4 partitions, the settings say 24") as raised:
        EmbeddedLog(path, 24)
    assert "4" in raised.value.cure
    assert raised.value.where == str(path)
    await log.append(numbered(1))  # harms nobody who has it open


async def test_a_log_of_a_newer_format_is_refused(path: Path) -> None:
    await EmbeddedLog(path, 4).close()
    change(path, "UPDATE about SET value = 99 WHERE name = 'format'")
    with pytest.raises(SettingsError, match="format 99"):
        EmbeddedLog(path, 4)


def _other_database(path: Path) -> None:
    change(path, "CREATE TABLE people (name TEXT)")


def _text(path: Path) -> None:
    path.write_text("not a database, and longer than the hundred bytes of a SQLite header, so that it is looked at\n" * 20)


def _folder(path: Path) -> None:
    path.mkdir()


def _no_folder(path: Path) -> None:
    path.parent.rmdir()


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (_other_database, "something else"),
        (_text, "not a log"),
        (_folder, "is a folder"),
        (_no_folder, "folder does not exist"),
    ],
)
async def test_a_path_that_cannot_be_a_log_is_refused_with_the_cure(path: Path, spoil: object, says: str) -> None:
    assert callable(spoil)
    spoil(path)
    with pytest.raises(SettingsError, match=says) as raised:
        EmbeddedLog(path)
    assert raised.value.cure != SettingsError.cure
    assert str(path) in raised.value.where or str(path.parent) in raised.value.where


@contextmanager
def without_rights() -> Iterator[Path]:
    """A folder that this process may not write. Root may write anything, so it steps down for a while."""
    folder = Path(tempfile.mkdtemp(prefix="log-rights-"))
    (folder / "sub").mkdir()
    user = os.geteuid()
    folder.chmod(0o755)
    (folder / "sub").chmod(0o555)
    try:
        if user == 0:
            os.seteuid(65534)
        yield folder / "sub"
    finally:
        if user == 0:
            os.seteuid(0)
        (folder / "sub").chmod(stat.S_IRWXU)
        for child in (folder / "sub").iterdir():
            child.unlink()
        (folder / "sub").rmdir()
        folder.rmdir()


async def test_a_folder_that_cannot_be_written_is_refused_with_the_cure() -> None:
    with without_rights() as folder, pytest.raises(SettingsError, match="cannot be written") as raised:
        EmbeddedLog(folder / "log.db")
    assert "user that runs the backbone" in raised.value.cure


async def test_a_folder_that_cannot_be_looked_into_is_refused_with_the_cure() -> None:
    with without_rights() as folder:
        os.seteuid(os.getuid())
        folder.chmod(0)
        if os.getuid() == 0:
            os.seteuid(65534)
        with pytest.raises(SettingsError, match="cannot be") as raised:
            EmbeddedLog(folder / "log.db")
    assert "user that runs the backbone" in raised.value.cure
