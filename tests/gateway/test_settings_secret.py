"""The key secret of the embedded default: made once, and never anew beside a log."""

from __future__ import annotations

import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from gateway.settings.read import read_settings
from gateway.settings.secret import key_secret, secret_file
from gateway.settings.shapes import Settings
from schemas.errors import SettingsError

SECRET = "0123456789abcdef0123456789abcdef"


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return read_settings(None, {"BACKBONE_DATA": str(tmp_path / "data")})


def test_it_is_made_once_and_only_its_owner_may_read_it(settings: Settings) -> None:
    made = key_secret(settings, create=True)
    assert made is not None
    assert len(made) >= 32
    assert key_secret(settings, create=True) == made
    assert stat.S_IMODE(secret_file(settings).stat().st_mode) == 0o600
    assert [file.name for file in settings.data.iterdir()] == ["key-secret"]


def test_it_is_not_made_by_asking_for_it(settings: Settings) -> None:
    assert key_secret(settings, create=False) is None
    assert not settings.data.exists()


def test_many_who_start_at_once_have_the_same(settings: Settings) -> None:
    with ThreadPoolExecutor(8) as pool:
        made = list(pool.map(lambda _: key_secret(settings, create=True), range(32)))
    assert len(set(made)) == 1


def test_it_is_not_made_anew_beside_a_log_whose_own_is_gone(settings: Settings) -> None:
    settings.data.mkdir()
    (settings.data / "log.db").touch()
    with pytest.raises(SettingsError, match="backup"):
        key_secret(settings, create=True)


def test_a_short_one_is_refused(settings: Settings) -> None:
    settings.data.mkdir()
    secret_file(settings).write_text("short")
    with pytest.raises(SettingsError, match="cut short"):
        key_secret(settings, create=True)


def test_a_given_one_that_differs_from_the_kept_one_is_refused(settings: Settings) -> None:
    key_secret(settings, create=True)
    given = read_settings(None, {"BACKBONE_DATA": str(settings.data), "BACKBONE_KEY_SECRET": SECRET})
    with pytest.raises(SettingsError, match="two different"):
        key_secret(given, create=True)


def test_a_given_one_is_used_and_not_written_down(tmp_path: Path) -> None:
    given = read_settings(None, {"BACKBONE_DATA": str(tmp_path / "data"), "BACKBONE_KEY_SECRET": SECRET})
    assert key_secret(given, create=True) == SECRET.encode()
    assert not given.data.exists()
