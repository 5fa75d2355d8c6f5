"""The port of a part of the server."""

from __future__ import annotations

from datetime import timedelta
from typing import NamedTuple, Protocol


class Shown(NamedTuple):
    """What is printed about an open door."""

    door: str
    """``http``, ``mllp``, ``folder``, ``projections``."""
    where: str
    """Address, folder or names."""


class ServerPart(Protocol):
    """One part of the server. When a part ends the whole process ends: a server is never half alive."""

    name: str

    async def start(self) -> list[Shown]:
        """Get ready for work and return what to print. Raises whatever keeps it from starting."""
        ...

    async def run(self) -> None:
        """Work until `stop` is called. Raises whatever went wrong; returning any earlier is a fault too."""
        ...

    async def stop(self, within: timedelta) -> None:
        """Accept nothing more, finish what is in progress or leave it for the next start, and let `run` return."""
        ...
