"""Writes docs/reference from the code: ``make docs``. A test keeps the two in step."""

from __future__ import annotations

import asyncio
import json
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

from adapters.fhir.message import MEANINGS
from adapters.fhir.rules import KINDS, StatusRule
from gateway.app import create_app
from gateway.composition.factory import Factory
from gateway.settings.read import read_settings
from gateway.watching.measures import MEASURES
from schemas.arrival.flags import FLAGS
from schemas.asyncapi import asyncapi
from schemas.catalogue import CATALOGUE

FOLDER = Path(__file__).with_name("reference")


def pages() -> Mapping[str, str]:
    """File name → content."""
    return {
        "catalogue.md": _catalogue(),
        "flags.md": _flags(),
        "fhir.md": _fhir(),
        "metrics.md": _metrics(),
        "asyncapi.json": json.dumps(asyncapi(), indent=1) + "\n",
        "openapi.json": asyncio.run(_openapi()) + "\n",
    }


def _catalogue() -> str:
    lines = ["# Event types", "", "Made from `schemas/catalogue.py` by `make docs`.", ""]
    lines += ["| type | focus | kind | character | title |", "|---|---|---|---|---|"]
    for row in CATALOGUE.values():
        title = row.title.replace("|", "\\|")
        lines.append(f"| `{row.name}` | {row.focus} | {row.kind} | {row.character} | {title} |")
    return "\n".join(lines) + "\n"


def _flags() -> str:
    lines = [
        "# Flags",
        "",
        "What a receipt says of something that was taken in but deserves a look: `nhs-number-invalid at PID-3`.",
    ]
    lines += ["Nothing is rejected for it. Made from `schemas/arrival/flags.py` by `make docs`.", ""]
    lines += ["| flag | what it says |", "|---|---|"]
    lines += [f"| `{code}` | {says} |" for code, says in FLAGS.items()]
    return "\n".join(lines) + "\n"


def _fhir() -> str:
    lines = ["# What FHIR messages and resources become", ""]
    lines += [
        "Made from `adapters/fhir/message.py` and `rules.py` by `make docs`. What no row is for is kept in quarantine.",
        "",
    ]
    lines += ["## Messages", "", "The first row that fits holds.", ""]
    lines += ["| event | reason | decided by | in the state | becomes |", "|---|---|---|---|---|"]
    for row in MEANINGS:
        states, reasons = _any(row.statuses), _any(row.reasons)
        lines.append(f"| {row.event} | {reasons} | {row.decides} | {states} | `{row.makes.name}` |")
    lines += [
        "",
        "## Resources",
        "",
        "Alone or in a Bundle. In the state `entered-in-error` a resource withdraws what it stated.",
        "",
    ]
    lines += ["| resource | in the state | when it is | becomes |", "|---|---|---|---|"]
    for name, kind in KINDS.items():
        for rule in kind.rules:
            lines.append(f"| {name} | {_any(rule.statuses)} | {_condition(rule)} | `{rule.makes.name}` |")
    return "\n".join(lines) + "\n"


def _any(words: frozenset[str]) -> str:
    return ", ".join(sorted(filter(None, words))) or "any"


def _condition(rule: StatusRule) -> str:
    """The name of the rule's test, read as words."""
    words = rule.when.__name__.strip("_").removeprefix("is_").replace("_", " ")
    return "" if words == "always" else words


def _metrics() -> str:
    lines = ["# Metrics", "", "Served as `/metrics`, by every process that answers HTTP or has `health` set. Made from"]
    lines += ["`gateway/watching/measures.py` by `make docs`. No name and no label says anything about a person.", ""]
    lines += ["A server of several processes answers for all of them: counters and histograms are summed, of gauges the last"]
    lines += [
        "column says what counts.",
        "",
        "| metric | kind | labels | what it says | of several processes |",
        "|---|---|---|---|---|",
    ]
    for row in MEASURES:
        labels = ", ".join(f"`{label}`" for label in row.labels)
        lines.append(f"| `{row.name}` | {row.kind} | {labels} | {row.says} | {row.across} |")
    return "\n".join(lines) + "\n"


async def _openapi() -> str:
    with tempfile.TemporaryDirectory() as folder:
        settings = read_settings(environment={"BACKBONE_DATA": folder}, text="")
        async with Factory(settings) as factory:
            app = create_app(await factory.services())
            return json.dumps(json.loads(app.state.openapi()), indent=1)


if __name__ == "__main__":
    FOLDER.mkdir(exist_ok=True)
    for name, content in pages().items():
        (FOLDER / name).write_text(content)
        sys.stdout.write(f"docs/reference/{name}\n")
