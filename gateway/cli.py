"""``backbone``: the command line.

It starts in a fifth of a second because only the module of the requested command is imported, and that module imports anything
heavy only when it runs.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Sequence
from typing import NamedTuple, cast

import typer

from gateway.terminal.frame import INTERRUPTED, Body, add_command, report, shared_options
from schemas.errors import InvalidRequest

HELP = """Health and care records from many systems, as one stream of events and one timeline for each person.

Exit status: 0 done, 1 some input rejected (and kept), 2 wrong use, 3 cannot reach an engine.
"""


class Command(NamedTuple):
    """One command."""

    words: str
    """What is typed. When there are two words, the first is the command's group."""
    body: str
    """The function that runs it, in a module of `gateway.commands`."""
    help: str


COMMANDS = (
    Command("demo", "serve.demo", "Send samples through every door and show the timeline they make."),
    Command("serve", "serve.serve", "Run the backbone: take in, project and answer until Ctrl-C."),
    Command("ingest", "ingest.ingest", "Take in files from a source and print their receipts."),
    Command("translate", "translate.translate", "Show what a file would become, and where each field comes from."),
    Command("source list", "source.list_sources", "List the declared sources."),
    Command("source add", "source.add_source", "Declare a source in the settings file."),
    Command("source scaffold", "source.scaffold", "Write a first mapping file from a sample of what a source sends."),
    Command("source check", "source.check", "Run the tests inside the mapping files."),
    Command("person find", "person.find", "Read an identifier from standard input and print the person's id."),
    Command("timeline", "timeline.timeline", "Print one person's timeline."),
    Command("quarantine list", "quarantine.list_items", "List what was not understood, oldest first."),
    Command("quarantine show", "quarantine.show", "Show why something was not understood, or what it was."),
    Command("quarantine redrive", "quarantine.redrive", "Send items through again, once the mapping is mended."),
    Command("parked list", "parked.list_parked", "List events that a projection cannot apply, and why."),
    Command("parked retry", "parked.retry", "Try them again, once the cause is mended."),
    Command("rebuild", "rebuild.rebuild", "Rebuild projections from the log, then swap. Sends nothing."),
    Command("log verify", "log.verify", "Read the whole log: counts, gaps, checksums."),
    Command("doctor", "doctor.doctor", "Check settings, engines, folders and clock; name each cure."),
)
"""Every command, in the order of the help."""

GROUPS = {
    "source": "Sources and their mappings.",
    "person": "Find people.",
    "quarantine": "What was not understood.",
    "parked": "Events that a projection cannot apply.",
    "log": "The event log.",
}


def build(arguments: Sequence[str]) -> typer.Typer:
    """The command line for ``arguments``. Commands whose first word is not among them are only listed in the help."""
    app = _group(HELP)
    app.callback()(shared_options)
    groups = {"": app} | {name: _group(says) for name, says in GROUPS.items()}
    for command in COMMANDS:
        group, _, name = command.words.rpartition(" ")
        wanted = command.words.split()[0] in arguments
        add_command(groups[group], name, _load(command.body) if wanted else _listed, command.help)
    for name in dict.fromkeys(command.words.split()[0] for command in COMMANDS):
        if name in GROUPS:
            app.add_typer(groups[name], name=name)
    return app


def _group(says: str) -> typer.Typer:
    return typer.Typer(
        help=says, no_args_is_help=True, add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False
    )


def _load(body: str) -> Body:
    module, _, function = body.rpartition(".")
    loaded: Body = getattr(importlib.import_module(f"gateway.commands.{module}"), function)
    return loaded


def _listed(_call: object) -> None:
    """Takes the place of a command that was not requested."""


_USAGE_ERROR = cast(type[Exception], typer.BadParameter.__base__)
"""What typer raises when a command was mistyped. It exports only one of these errors, whose parent is the parent of all."""


def main() -> None:
    """Run the command in the arguments and exit with its status."""
    arguments = sys.argv[1:]
    as_json = "--json" in arguments
    try:
        sys.exit(build(arguments)(prog_name="backbone", standalone_mode=not as_json))
    except _USAGE_ERROR as error:
        said = getattr(error, "format_message", error.__str__)()
        sys.exit(report(InvalidRequest(said, where="arguments", cure="--help says what may be written."), as_json=True))
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)


if __name__ == "__main__":
    main()
