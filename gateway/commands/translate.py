"""``backbone translate``: what a translator makes of some content, and which field each part came from. Writes nothing."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

import orjson
import typer

from gateway.commands.ingest import MediaType, SourceId, media_type_of, opened
from gateway.composition.factory import Factory, now
from gateway.terminal.frame import DONE, REJECTED, Call
from gateway.terminal.show import json_line, seen, table, when
from schemas.catalogue import CATALOGUE
from schemas.errors import TooLarge
from schemas.event import payload
from schemas.sentence import title

if TYPE_CHECKING:
    from adapters.explain import Explanation
    from adapters.translator import Item
    from schemas.event import Event
    from schemas.source import Source

SAMPLE_BYTES = 16 * 1024 * 1024
"""Largest content it looks at: the largest message, or about ten thousand rows. It is translated once for each field."""

File = Annotated[Path, typer.Argument(metavar="FILE", help="What the source sent; - is standard input.")]


async def translate(call: Call, source: SourceId, file: File, media_type: MediaType = "") -> int:
    """Explain ``file`` as if ``source`` had sent it."""
    from adapters.explain import explain
    from adapters.translator import Arrival

    with opened(file) as stream:
        content = stream.read(SAMPLE_BYTES + 1)
    if len(content) > SAMPLE_BYTES:
        raise TooLarge("this is more than a sample", where="FILE", cure="Give it one message, or some rows with their header.")
    async with Factory(call.settings(), writes=False) as make:
        declared = make.source(source).source
        translator = make.registry.translator(declared, media_type or media_type_of(file))
        explanation = explain(translator, content, Arrival(declared, now(), make.trial_pseudonyms))
        final = make.has_secret
    if call.json:
        _print_json(explanation, final_ids=final)
    else:
        _print(explanation, declared, final_ids=final)
    return REJECTED if any(item.rejection for item in explanation.items) else DONE


def _print_json(explanation: Explanation, *, final_ids: bool) -> None:
    json_line(
        {
            "final_ids": final_ids,
            "items": [_item(item) for item in explanation.items],
            "provenance": [
                {"event": target.event, "field": target.path, "from": list(fields)}
                for target, fields in explanation.provenance.items()
            ],
            "required": dict(explanation.required),
            "unread": list(explanation.unread),
        }
    )


def _item(item: Item) -> dict[str, Any]:
    refused = item.rejection.error if item.rejection else None
    return {
        "position": item.position,
        "events": [_event(event) for event in item.events],
        "rejection": {"code": refused.code, "reason": str(refused), "where": refused.where} if refused else None,
        "flags": list(item.flags),
    }


def _event(event: Event) -> dict[str, Any]:
    import msgspec

    envelope: dict[str, Any] = orjson.loads(msgspec.json.encode(event))
    return envelope


def _print(explanation: Explanation, source: Source, *, final_ids: bool) -> None:
    for item in explanation.items:
        print(f"{item.position}: {_outcome(item, source)}")
        for flag in item.flags:
            print(f"  flag {seen(flag)}")
    first = explanation.items[0] if explanation.items else None
    for place, event in enumerate(first.events if first else ()):
        print(f"\n{event.type} of {first.position if first else ''}, field by field")
        origins = {target.path: fields for target, fields in explanation.provenance.items() if target.event == place}
        table(("Field", "Value", "Comes from"), _rows(event, origins))
    if explanation.required:
        print("\nWithout these it would be rejected: " + seen(", ".join(explanation.required)))
    if explanation.unread:
        print("\nNobody reads: " + seen(", ".join(explanation.unread)))
    if not explanation.items:
        print("There is nothing in it to translate.")
    if not final_ids:
        print("\n" + _TRIAL)


_TRIAL = "There is no key secret yet: ids and keys shown here are for this trial alone. The first start makes the secret."


def _outcome(item: Item, source: Source) -> str:
    if item.rejection is not None:
        return f"rejected: {seen(item.rejection.error)}"
    return "; ".join(_told(event, source) for event in item.events) or "nothing to record"


def _told(event: Event, source: Source) -> str:
    """The event's type, and its entry as a timeline would show it."""
    from consumers.timeline.versions.compose import occurred

    entries = payload(event)["entry"]
    sentence = title(CATALOGUE[event.type].title, entries[0]["resource"], source.name, entries)
    return f"{event.type}, {when(occurred(event.time, event.timeprecision))}: {seen(sentence)}"


def _rows(event: Event, origins: Mapping[str, Sequence[str]]) -> Iterator[tuple[str, str, str]]:
    """Each field with its value and the source fields it came from. Resources are called by their type."""
    bundle = payload(event)
    envelope = {name: getattr(event, name) for name in event.__struct_fields__ if name != "data"}
    values = dict(_leaves(bundle | envelope, ""))
    kinds = [entry["resource"]["resourceType"] for entry in bundle["entry"]]
    for path, fields in origins.items():
        if path in values:  # what is not only repeats the record's key
            shown = _ENTRY.sub(lambda match: kinds[int(match[1])], path)
            yield shown, values[path], ", ".join(fields) or "always so"


_ENTRY = re.compile(r"^entry\[(\d+)\]\.resource")


class _Leaf(NamedTuple):
    path: str
    value: str


def _leaves(value: Any, at: str) -> Iterator[_Leaf]:
    if isinstance(value, dict):
        for name, each in value.items():
            yield from _leaves(each, f"{at}.{name}" if at else name)
    elif isinstance(value, list):
        for place, each in enumerate(value):
            yield from _leaves(each, f"{at}[{place}]")
    else:
        yield _Leaf(at, str(value))
