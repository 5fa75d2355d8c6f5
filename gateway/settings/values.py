"""Kinds of value that a setting may have, besides Python's own."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import NamedTuple
from urllib.parse import SplitResult, urlsplit

import msgspec


class Url(str):
    """Address of an engine. It may hold a password, so that its ``repr`` and `shown` leave it out."""

    __slots__ = ()

    @property
    def parts(self) -> SplitResult:
        return urlsplit(self)

    @property
    def embedded(self) -> bool:
        """Whether the engine is a file of this machine."""
        return self.parts.scheme == "sqlite"

    @property
    def file(self) -> Path | None:
        """The file of an embedded engine."""
        return Path(self.removeprefix("sqlite:///")) if self.embedded else None

    @property
    def shown(self) -> str:
        """The address as it may be printed."""
        parts = self.parts
        if "@" not in parts.netloc and not parts.query:
            return str(self)
        return parts._replace(netloc=parts.netloc.rpartition("@")[2], query="").geturl()

    def __repr__(self) -> str:
        return f"Url({self.shown!r})"


class Secret(bytes):
    """Bytes that must not be seen: never in a ``repr``, a log or an error."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "Secret(…)"


class Address(NamedTuple):
    """Where a door listens."""

    host: str
    port: int
    """0: any free one (tests); the line printed at the start says which."""

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


class Door(StrEnum):
    """A way in that a source may use."""

    MLLP = "mllp"
    HTTP = "http"
    FOLDER = "folder"


class Form(StrEnum):
    """How a message is written."""

    AUTO = "auto"
    """`TEXT` on a terminal, else `JSON`."""
    JSON = "json"
    """One object a line, for programs."""
    TEXT = "text"
    """For people."""


class Match(msgspec.Struct, frozen=True, kw_only=True):
    """Which MLLP messages are a source's. At least one is given; an empty one matches any."""

    sending_application: str = ""
    """MSH-3."""
    sending_facility: str = ""
    """MSH-4."""
