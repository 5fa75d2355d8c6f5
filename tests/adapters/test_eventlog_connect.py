"""Which log an address means."""

from __future__ import annotations

from pathlib import Path

import pytest

from adapters.eventlog.connect import connect
from adapters.eventlog.embedded.log import EmbeddedLog
from schemas.errors import NotFound, SettingsError
from schemas.log import PARTITIONS, NewRecord

pytestmark = pytest.mark.asyncio


async def test_four_slashes_are_a_file_by_its_absolute_path(tmp_path: Path) -> None:
    log = await connect(f"sqlite:///{tmp_path / 'log.db'}")
    assert isinstance(log, EmbeddedLog)
    assert len(await log.ends("t")) == PARTITIONS
    await log.append([NewRecord("t", "k", b"v")])
    await log.close()
    assert (tmp_path / "log.db").exists()


async def test_three_slashes_are_a_file_below_the_working_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    await (await connect("sqlite:///the log.db", partitions=3)).close()
    log = await connect(f"sqlite:///{tmp_path / 'the log.db'}", partitions=3)
    assert list(await log.ends("t")) == [0, 1, 2]
    await log.close()


@pytest.mark.parametrize(
    "url",
    [
        "sqlite://",
        "sqlite:///",
        "sqlite://log.db",
        "sqlite://host/log.db",
        "log.db",
        "",
        "redis://user:secret@host/0",
        "SQLITE",
    ],
)
async def test_an_address_that_names_no_log_is_refused_with_what_to_write(url: str) -> None:
    with pytest.raises(SettingsError) as raised:
        await connect(url)
    assert raised.value.where == "BACKBONE_LOG"
    assert "sqlite://" in raised.value.cure
    assert "secret" not in str(raised.value)


async def test_a_file_that_may_not_be_made_is_not(tmp_path: Path) -> None:
    for _ in range(2):
        with pytest.raises(NotFound):
            await connect(f"sqlite:///{tmp_path}/log.db", create=False)


async def test_a_file_in_no_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="folder does not exist"):
        await connect(f"sqlite:///{tmp_path}/nowhere/log.db")
