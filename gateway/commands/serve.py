"""``backbone serve`` and ``backbone demo``."""

from __future__ import annotations

import signal
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gateway.composition.process import Process, run_child, run_process
from gateway.processes.split import RESERVED, Beside, Role, Seat, seats
from gateway.settings.parse import nearest
from gateway.terminal.frame import DONE, STARTED, Call, TerminatedError, report
from gateway.terminal.show import json_line
from schemas.errors import SettingsError

if TYPE_CHECKING:
    import socket

    from gateway.processes.channel import Word
    from gateway.serving.listen import Bound
    from gateway.serving.part import Shown
    from gateway.serving.serve import Announce
    from gateway.settings.shapes import Settings

Http = Annotated[str, typer.Option(metavar="HOST:PORT", help="Address for HTTP; overrides the settings.")]
Mllp = Annotated[str, typer.Option(metavar="HOST:PORT", help="Address for HL7 v2 messages; overrides the settings.")]
Only = Annotated[str, typer.Option(metavar="ROLES", help="Some of gateway,intake,projections,delivery; all by default.")]


def serve(call: Call, http: Http = "", mllp: Mllp = "", only: Only = "") -> int:
    """Take in, project and answer until a signal."""
    from gateway.composition.assembly import bind
    from gateway.serving.locks import hold_roles
    from gateway.settings.read import read_settings
    from gateway.watching.log_lines import log_lines

    options = {name: value for name, value in (("http", http), ("mllp", mllp)) if value}
    read = partial(read_settings, call.config, options=options)
    settings, roles = read(), chosen(only)
    log_lines(settings.logging, settings.logging_form)
    placed = seats(roles, settings.processes, shared=not (settings.log.embedded or settings.store.embedded))
    announce = partial(_announce, call, settings)
    with hold_roles(settings.kept_in, roles):
        sockets = dict(zip(placed, bind(settings, placed), strict=True))
        if len(placed) == 1:
            alone = Process(settings, read, placed[0], sockets[placed[0]])
            run_process(alone, announce)
            return DONE
        return _serve_together(call, settings, read, sockets, announce)


def _serve_together(
    call: Call, settings: Settings, read: Callable[[], Settings], sockets: Mapping[Seat, Bound], announce: Announce
) -> int:
    """A process for each seat, and this one to watch over them; its exit status, or a child's that kept it from going on."""
    from gateway.processes.supervise import Supervisor, private_folder

    with private_folder() as private:
        beside = Beside(private, list(sockets))

        def work(seat: Seat, channel: socket.socket) -> Word:
            for other, bound in sockets.items():
                for one in bound.sockets if other != seat else ():
                    one.close()
            return run_child(call, Process(settings, read, seat, sockets[seat], beside), beside.folder, channel)

        held = [one for bound in sockets.values() for one in bound.sockets]
        ending = Supervisor(list(sockets), work, settings.limits.stop, held, announce).run()
    if ending.stopped_by is not None:
        raise TerminatedError if ending.stopped_by == signal.SIGTERM else KeyboardInterrupt
    sys.stderr.write(ending.says)
    return max(ending.status, report(ending.error, as_json=call.json) if ending.error else DONE)


def _announce(call: Call, settings: Settings, shown: Sequence[Shown]) -> None:
    """Print what is open, once, in the order of the doors."""
    seconds = time.perf_counter() - STARTED
    opened = sorted(dict.fromkeys(shown), key=lambda one: _DOORS.index(one.door))
    if call.json:
        json_line({"ready_seconds": round(seconds, 2), "open": [one._asdict() for one in opened]})
        return
    for one in opened:
        print(f"{one.door:<12}{one.where}", flush=True)
    if not settings.sources:
        print("No source is declared yet: `backbone source add --help`.")
    print(f"Ready in {seconds:.1f} s. Ctrl-C stops.", flush=True)


_DOORS = ("http", "mllp", "folder", "projections", "health")


def chosen(only: str) -> frozenset[Role]:
    """The roles that ``--only`` names. Raises `SettingsError`."""
    if not only:
        return frozenset(Role)
    names, known = [name.strip() for name in only.split(",")], [*Role, RESERVED]
    for name in names:
        if name not in known:
            cure = f"Write some of {','.join(known)}{nearest(name, known)}."
            raise SettingsError("there is no such role", where="--only", cure=cure)
    roles = frozenset(Role(name) for name in names if name != RESERVED)
    if not roles:
        cure = "Name another role beside it: what delivers to subscribers is not part of this version."
        raise SettingsError("a server of this role has nothing to do", where="--only", cure=cure)
    return roles


async def demo(
    call: Call,
    folder: Annotated[Path, typer.Option(help="Where the demo keeps what it makes.")] = Path("backbone-demo"),
    once: Annotated[bool, typer.Option("--once", help="Stop after printing the timeline.")] = False,
) -> None:
    """Run the samples through a server of their own."""
    from gateway.commands.demo import demo as run_demo

    await run_demo(folder.resolve(), once=once, as_json=call.json)
