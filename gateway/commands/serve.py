"""``backbone serve`` and ``backbone demo``."""

from __future__ import annotations

import asyncio
import signal
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gateway.settings.parse import nearest
from gateway.terminal.frame import STARTED, Call, TerminatedError
from gateway.terminal.show import json_line
from schemas.errors import SettingsError

if TYPE_CHECKING:
    from gateway.serving.part import Shown
    from gateway.serving.serve import Role
    from gateway.settings.shapes import Settings

Http = Annotated[str, typer.Option(metavar="HOST:PORT", help="Address for HTTP; overrides the settings.")]
Mllp = Annotated[str, typer.Option(metavar="HOST:PORT", help="Address for HL7 v2 messages; overrides the settings.")]
Only = Annotated[str, typer.Option(metavar="ROLES", help="Some of gateway,intake,projections,delivery; all by default.")]


def serve(call: Call, http: Http = "", mllp: Mllp = "", only: Only = "") -> None:
    """Take in, project and answer until a signal."""
    import uvloop

    from gateway.settings.read import read_settings
    from gateway.watching.log_lines import log_lines

    options = {name: value for name, value in (("http", http), ("mllp", mllp)) if value}
    read = partial(read_settings, call.config, options=options)
    settings, roles = read(), chosen(only)
    log_lines(settings.logging, settings.logging_form)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        stopped_by = runner.run(_serve(settings, read, roles, call))
    if stopped_by is not None:
        raise TerminatedError if stopped_by == signal.SIGTERM else KeyboardInterrupt


async def _serve(settings: Settings, read: Callable[[], Settings], roles: frozenset[Role], call: Call) -> int | None:
    """The signal that stopped it before it had started."""
    from gateway.composition.assembly import parts
    from gateway.composition.factory import Factory
    from gateway.serving.locks import hold_roles
    from gateway.serving.serve import serve as serve_parts
    from gateway.serving.serve import starting

    def announce(shown: Sequence[Shown]) -> None:
        seconds = time.perf_counter() - STARTED
        if call.json:
            json_line({"ready_seconds": round(seconds, 2), "open": [one._asdict() for one in shown]})
            return
        for one in shown:
            print(f"{one.door:<12}{one.where}", flush=True)
        if not settings.sources:
            print("No source is declared yet: `backbone source add --help`.")
        print(f"Ready in {seconds:.1f} s. Ctrl-C stops.", flush=True)

    within = settings.limits.stop
    with starting(within) as told:
        try:
            with hold_roles(settings.kept_in, roles):
                async with Factory(settings) as make:
                    await serve_parts(await parts(make, roles, read), within, announce)
        except asyncio.CancelledError:
            if not told:
                raise
            return told[0]
    return None


def chosen(only: str) -> frozenset[Role]:
    """The roles that ``--only`` names. Raises `SettingsError`."""
    from gateway.serving.serve import Role

    if not only:
        return frozenset(Role)
    names = [name.strip() for name in only.split(",")]
    for name in names:
        if name not in list(Role):
            cure = f"Write some of {','.join(Role)}{nearest(name, Role)}."
            raise SettingsError("there is no such role", where="--only", cure=cure)
    return frozenset(Role(name) for name in names)


async def demo(
    call: Call,
    folder: Annotated[Path, typer.Option(help="Where the demo keeps what it makes.")] = Path("backbone-demo"),
    once: Annotated[bool, typer.Option("--once", help="Stop after printing the timeline.")] = False,
) -> None:
    """Run the samples through a server of their own."""
    from gateway.commands.demo import demo as run_demo

    await run_demo(folder.resolve(), once=once, as_json=call.json)
