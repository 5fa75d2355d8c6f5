"""The key secret of the embedded default: made once, kept in the data folder, readable by its owner alone.

With another secret every key and person id is another (`schemas.pseudonyms`), so that it is never made anew beside a log that
holds keys made with a lost one.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import tempfile
from pathlib import Path

from gateway.settings.shapes import Settings
from gateway.settings.values import Secret
from schemas.errors import SettingsError

FILE_NAME = "key-secret"
_RANDOM_BYTES = 32
"""As many as the HMAC's key needs (RFC 2104 §3: not fewer than the hash has)."""


def secret_file(settings: Settings) -> Path:
    """Where the embedded default keeps its secret."""
    return settings.data / FILE_NAME


def key_secret(settings: Settings, *, create: bool) -> Secret | None:
    """The secret given in the settings, else the one kept in the data folder; made there if there is none and ``create``.

    Raises `SettingsError` when the given and the kept one differ, or when the kept one is gone although the log is there.
    """
    file, log = secret_file(settings), settings.log.file
    log_is_there = log is not None and log.is_file()  # looked at first: another process makes the secret, then the log
    kept = _kept(file)
    if settings.key_secret is not None:
        if settings.log.embedded and kept is not None and kept != settings.key_secret:
            cure = f"Unset BACKBONE_KEY_SECRET and its file reference, or remove {file} if this log was never written with it."
            raise SettingsError("two different key secrets: one given, one kept with the log", where=str(file), cure=cure)
        return settings.key_secret
    if kept is not None:
        return kept
    if log_is_there:
        cure = (
            "Put the file back from a backup, or give the secret by BACKBONE_KEY_SECRET: without it no record is found again."
        )
        raise SettingsError("the key secret is gone, but the log made with it is there", where=str(file), cure=cure)
    return _make(file) if create else None


def _kept(file: Path) -> Secret | None:
    try:
        secret = Secret(file.read_bytes().strip())
    except FileNotFoundError:
        return None
    except OSError as error:
        cure = "Let the user that runs the backbone read it."
        raise SettingsError(f"the key secret cannot be read: {error.strerror}", where=str(file), cure=cure) from None
    if len(secret) < _RANDOM_BYTES:
        raise SettingsError("the key secret is cut short", where=str(file), cure="Put the file back from a backup.")
    return secret


def _make(file: Path) -> Secret:
    """Writes a new secret; of two processes that do so at once, both get that of the first.

    The file appears complete or not at all, and is on disk before anything is made with it.
    """
    file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(prefix=f".{file.name}-", dir=file.parent)  # made with mode 0600
    draft = Path(name)
    try:
        with os.fdopen(handle, "wb") as stream:
            stream.write(secrets.token_hex(_RANDOM_BYTES).encode() + b"\n")
            stream.flush()
            os.fsync(stream.fileno())
        with contextlib.suppress(FileExistsError):
            os.link(draft, file)
        _flush_folder(file.parent)
    finally:
        draft.unlink(missing_ok=True)
    secret = _kept(file)
    if secret is None:
        cure = "See what else writes to this folder."
        raise SettingsError("the key secret vanished while it was made", where=str(file), cure=cure)
    return secret


def _flush_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
