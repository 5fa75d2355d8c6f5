"""How the processes of a server answer as one: each has a socket in a private folder, on which the others ask it.

A sibling that does not answer in time is said, and holds nobody up: readiness names it, and its figures are those it showed
last (`gateway.watching.figures`).
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from datetime import timedelta
from pathlib import Path

import msgspec

from gateway.processes.split import DOORS, READERS, Role, Seat
from gateway.routes.readiness import ANSWER_WITHIN_S, READING, TAKING_IN
from gateway.serving.part import Shown
from gateway.watching.figures import Counted, exposition, read, silent, written

FIGURES, READY = b"figures\n", b"ready\n"
WITHIN_S = 1.0
"""How long a sibling may take to show its figures: Prometheus gives up on a scrape after 10 s."""
_READY_WITHIN_S = ANSWER_WITHIN_S + WITHIN_S
"""To say whether it is ready it asks the engines first."""
_CONCERNED: Mapping[str, frozenset[Role]] = {TAKING_IN: DOORS, READING: READERS, "": frozenset(Role)}
"""Kind of readiness → the roles whose processes have a say in it."""

Findings = dict[str, bool]
"""Kind of readiness → whether it is given."""


class Siblings:
    """The other processes of this server, and this one's answers to them: a part of the server."""

    name = "siblings"

    def __init__(
        self,
        folder: Path,
        own: Seat,
        seats: Sequence[Seat],
        counted: Counted,
        ready: Callable[[], Awaitable[Findings]],
    ) -> None:
        self._folder, self._own = folder, own
        self._others = [seat for seat in seats if seat.name != own.name]
        self._counted, self._ready = counted, ready
        self._server: asyncio.Server | None = None
        self._stop = asyncio.Event()

    async def start(self) -> list[Shown]:
        place = self._folder / self._own.name
        place.unlink(missing_ok=True)  # a predecessor's that was killed
        self._server = await asyncio.start_unix_server(self._answer, place)
        return []

    async def run(self) -> None:
        await self._stop.wait()

    async def stop(self, within: timedelta) -> None:
        if self._server is not None:
            self._server.close()
        self._stop.set()

    async def exposition(self) -> bytes:
        """Everything counted in this server, in the Prometheus text format."""
        answers = await asyncio.gather(*(self._ask(seat, FIGURES, WITHIN_S) for seat in self._others))
        found = [read(self._counted.show())]
        for seat, answer in zip(self._others, answers, strict=True):
            found.append(written(figures_file(self._folder, seat)) if answer is None else read(answer))
        return exposition([*found, silent(answers.count(None))])

    async def unready(self) -> dict[str, list[str]]:
        """Kind of readiness (`gateway.routes.readiness`; empty: as a whole) → the siblings that stand in its way."""
        answers = await asyncio.gather(*(self._ask(seat, READY, _READY_WITHIN_S) for seat in self._others))
        found: dict[str, list[str]] = {kind: [] for kind in _CONCERNED}
        for seat, answer in zip(self._others, answers, strict=True):
            says = msgspec.json.decode(answer, type=Findings) if answer else {}
            for kind, roles in _CONCERNED.items():
                if roles & seat.roles and not says.get(kind):
                    found[kind].append(seat.name)
        return found

    async def _ask(self, seat: Seat, what: bytes, within_s: float) -> bytes | None:
        """What the sibling answers; ``None`` when it does not."""
        with suppress(OSError, TimeoutError):
            async with asyncio.timeout(within_s):
                reader, writer = await asyncio.open_unix_connection(self._folder / seat.name)
                try:
                    writer.write(what)
                    return await reader.read() or None
                finally:
                    writer.close()
        return None

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            asked = await reader.readline()
            writer.write(self._counted.show() if asked == FIGURES else msgspec.json.encode(await self._ready()))
            await writer.drain()
        except ConnectionError:
            return  # whoever asked has gone
        finally:
            writer.close()


def figures_file(folder: Path, seat: Seat) -> Path:
    """Where a process writes what it shows."""
    return folder / f"{seat.name}.figures"
