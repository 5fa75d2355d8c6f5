"""What all commands share: their common options, and how a failure becomes one line and an exit status.

A command's body takes a `Call` first, then what typer reads from its signature, and returns its exit status; nothing is 0::

    async def verify(call: Call) -> int | None: ...

    add_command(app, "verify", verify, "Read the whole log.")
"""

from __future__ import annotations

import inspect
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple, NoReturn

import typer

from schemas.errors import BackboneError, EngineUnavailable, RejectedInput, place_raised

if TYPE_CHECKING:
    from gateway.settings.shapes import Settings

DONE, REJECTED, WRONG_USE, UNREACHABLE = 0, 1, 2, 3
BROKEN = 70
"""A fault of the backbone itself: EX_SOFTWARE of sysexits.h. Python's own 1 would mean "some input rejected"."""
INTERRUPTED = 130
"""Ctrl-C: 128 + SIGINT, as shells report it."""
TERMINATED = 143
"""128 + SIGTERM."""


class TerminatedError(KeyboardInterrupt):
    """Somebody asked the process to end: it closes what it opened and leaves the terminal as it found it."""


def _terminate(*_signal: object) -> NoReturn:
    raise TerminatedError


_STATUS: tuple[tuple[type[BaseException], int], ...] = (
    (RejectedInput, REJECTED),
    (EngineUnavailable, UNREACHABLE),
    (BackboneError, WRONG_USE),
    (OSError, UNREACHABLE),
    (TerminatedError, TERMINATED),
    (KeyboardInterrupt, INTERRUPTED),
    (BaseException, BROKEN),
)
"""Kind of failure → exit status; the first match counts."""


class Call(NamedTuple):
    """How a command was called."""

    config: Path | None = None
    json: bool = False
    debug: bool = False

    def or_else(self, other: Call) -> Call:
        """These options, completed by those of ``other`` where none are given here."""
        return Call(self.config or other.config, self.json or other.json, self.debug or other.debug)

    def settings(self) -> Settings:
        """The settings, read and checked. Raises an ``ExceptionGroup`` of `SettingsError`."""
        from gateway.settings.read import read_settings

        return read_settings(self.config)


_CONFIG_HELP = "Settings file. [default: BACKBONE_CONFIG, else ./backbone.toml]"
STARTED = time.perf_counter()
"""When this process began, apart from the twentieth of a second that Python takes to start."""

Config = Annotated[Path | None, typer.Option("--config", metavar="FILE", help=_CONFIG_HELP)]
Json = Annotated[bool, typer.Option("--json", help="Print JSON, errors included.")]
Debug = Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")]

_SHARED = {"config": (Config, None), "as_json": (Json, False), "debug": (Debug, False)}
"""Options of every command, by parameter name, with their defaults."""

Body = Callable[..., Any]


def shared_options(context: typer.Context, config: Config = None, as_json: Json = False, debug: Debug = False) -> None:
    """Accept the shared options before the command's name as well: the callback of the whole command line."""
    context.obj = Call(config, as_json, debug)


def add_command(app: typer.Typer, name: str, body: Body, says: str) -> None:
    """Make ``body`` a command of ``app``; ``says`` is its help."""
    app.command(name, help=says, short_help=says)(_framed(body))  # the short one is cut short unless it is given


def _framed(body: Body) -> Body:
    """``body`` with the shared options, run to its exit status."""
    own = list(inspect.signature(body, eval_str=True).parameters.values())[1:]
    shared = [
        inspect.Parameter(option, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=kind)
        for option, (kind, default) in _SHARED.items()
    ]

    def framed(context: typer.Context, **given: Any) -> None:
        own_options = Call(*(given.pop(option) for option in _SHARED))
        call = own_options.or_else(context.find_root().obj)
        raise typer.Exit(run(call, lambda: body(call, **given)))

    context = inspect.Parameter("context", inspect.Parameter.POSITIONAL_OR_KEYWORD, annotation=typer.Context)
    parameters = [context, *(parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY) for parameter in own), *shared]
    framed.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined] # typer reads it, mypy does not know it
    framed.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    return framed


def run(call: Call, body: Callable[[], Any]) -> int:
    """Run ``body`` and return its exit status, reporting whatever it raises on standard error. A server handles signals
    itself."""
    signal.signal(signal.SIGTERM, _terminate)
    try:
        outcome = body()
        if inspect.iscoroutine(outcome):
            import asyncio

            outcome = asyncio.run(outcome)
        sys.stdout.flush()
        return outcome or DONE
    except BrokenPipeError:
        # Whoever read our output has had enough. Python would complain about the rest of the buffer at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return DONE
    except BaseException as error:
        if isinstance(error, SystemExit | typer.Exit):
            raise
        return failed(call, error)


def failed(call: Call, error: BaseException) -> int:
    """Report ``error`` as the command was called, and return the exit status."""
    if call.debug:
        import traceback

        traceback.print_exception(error)
    return report(error, as_json=call.json)


def report(error: BaseException, *, as_json: bool = False) -> int:
    """Print one line for each thing that went wrong and return the exit status of the gravest."""
    import orjson

    leaves = list(_leaves(error))
    for leaf in leaves:
        line = _line(leaf)
        text = orjson.dumps(line._asdict()).decode() if as_json else line.text
        print(text, file=sys.stderr)
    return max(status(leaf) for leaf in leaves)


def status(error: BaseException) -> int:
    """The exit status of one failure."""
    return next(number for kind, number in _STATUS if isinstance(error, kind))


def _leaves(error: BaseException) -> Iterator[BaseException]:
    if isinstance(error, BaseExceptionGroup):
        for inner in error.exceptions:
            yield from _leaves(inner)
    else:
        yield error


class _Line(NamedTuple):
    """One failure as it is printed."""

    code: str
    message: str
    where: str
    cure: str

    @property
    def text(self) -> str:
        place = f"{self.where}: " if self.where else ""
        return f"backbone: {place}{self.message.rstrip('.')}. {self.cure}".strip()


_STORAGE_CURES = {
    "ENOSPC": "Make room on this disk; nothing was acknowledged that is not on it.",
    "EDQUOT": "Raise the quota or make room; nothing was acknowledged that is not on the disk.",
    "EACCES": "Let the user that runs the backbone read and write it.",
    "EPERM": "Let the user that runs the backbone read and write it.",
    "EROFS": "Choose a folder on a file system that can be written: BACKBONE_DATA.",
    "ENOENT": "Check the path.",
    "EISDIR": "Name a file, not a folder.",
    "ENOTDIR": "Name a folder whose parents are folders.",
}


def _line(error: BaseException) -> _Line:
    """What to say about ``error``. For one we did not expect, only its kind and place: its text may repeat somebody's data."""
    if isinstance(error, BackboneError):
        return _Line(error.code, error.message, error.where, error.cure)
    if isinstance(error, OSError):
        import errno

        cure = _STORAGE_CURES.get(errno.errorcode.get(error.errno or 0, ""), "`backbone doctor` says more.")
        return _Line("storage", error.strerror or type(error).__name__, str(error.filename or ""), cure)
    if isinstance(error, KeyboardInterrupt):
        return _Line("interrupted", "Stopped", "", "Run it again: what was done already is not done twice.")
    message = f"Something that should not happen: {type(error).__name__}"
    return _Line("broken", message, place_raised(error), "Run it again with --debug and report it.")
