"""The port of a part of the server."""

from __future__ import annotations

from datetime import timedelta
from typing import NamedTuple, Protocol


class Shown(NamedTuple):
    """What is printed of a door that is open."""

    door: str
    """``http``, ``mllp``, ``folder``, ``projections``."""
    where: str
    """Address, folder or names."""


class Part(Protocol):
    """One part of the server. A part that ends brings the whole process down: a server is never half alive."""

    name: str

    async def start(self) -> list[Shown]:
        """Be ready for work; what to print. Raises what keeps it from starting."""
        ...

    async def run(self) -> None:
        """Work until `stop` was called. Raises what went wrong; returning before that is a fault as well."""
        ...

    async def stop(self, within: timedelta) -> None:
        """Take no more in, finish what is under way or leave it for the next start, and let `run` return."""
        ...
