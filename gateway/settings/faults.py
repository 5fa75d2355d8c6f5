"""What is wrong with the settings, gathered, so that a file is mended in one go and not one start at a time."""

from __future__ import annotations

from pathlib import Path

from gateway.settings.lines import KeyPath, line_of
from schemas.errors import SettingsError


class Faults:
    """Collects faults, each with file, line and key or with the variable's name."""

    def __init__(self, file: Path | None = None, lines: dict[KeyPath, int] | None = None) -> None:
        self._file = file
        self._lines = lines or {}
        self._from: dict[KeyPath, str] = {}
        self._beside: dict[KeyPath, KeyPath] = {}
        self.found: list[SettingsError] = []

    def comes_from(self, path: KeyPath, where: str) -> None:
        """Note that the value of ``path`` was given outside the file, by a variable or an option: later faults name that."""
        self._from[path] = where

    def stands_at(self, path: KeyPath, written: KeyPath) -> None:
        """Note that the value of ``path`` was given by the key ``written`` (``key_secret_file``): later faults name that."""
        self._beside[path] = written

    def add(self, path: KeyPath, message: str, cure: str) -> None:
        """``message`` without a full stop; ``cure`` is a whole sentence."""
        self.found.append(SettingsError(message, where=self.where(path), cure=cure))

    def unreadable(self, path: KeyPath, name: str, error: ValueError) -> None:
        """The value of the key ``name`` makes no sense; ``error`` says what to write instead."""
        self.add(path, f"{name} cannot be read", f"{str(error)[:1].upper()}{str(error)[1:]}.")

    def where(self, path: KeyPath) -> str:
        """Key, file and line; or the variable; or the key alone for a default."""
        path = self._beside.get(path, path)
        if path in self._from:
            return self._from[path]
        key = ".".join(str(part) for part in path if isinstance(part, str))
        line = line_of(path, self._lines)
        if self._file is None or line is None:
            return key if self._file is None else f"{self._file}, {key}" if key else str(self._file)
        return f"{self._file}, line {line}, {key}"

    def stop(self) -> None:
        """Raises an ``ExceptionGroup`` of every `SettingsError` found; nothing when there is none."""
        if self.found:
            raise ExceptionGroup("settings", self.found)
