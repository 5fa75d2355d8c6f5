"""JSON (one object, or a list of them), ndjson (one object a line) and the fields of a posted form.

Source: RFC 8259 §4 (names within an object should be unique: a second one would hide the first), §8.1 (UTF-8); ndjson 1.0;
WHATWG URL §5.1 (application/x-www-form-urlencoded).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, BinaryIO
from urllib.parse import parse_qsl

import msgspec
import orjson

from adapters.tabular.rows.layout import BLANK, Layout, Row, Rows, trim
from adapters.tabular.rows.limits import FIELDS_MOST, FORM_BYTES_MOST, JSON_BYTES_MOST, ROW_CHARACTERS_MOST
from schemas.errors import InvalidValue, RejectedInput, TooLarge, Unreadable

_CUT = "Check how it was made and sent, then send it again whole."
_ENTRIES = msgspec.json.Decoder(list[msgspec.Raw])
_MARK = "\ufeff".encode()


def read_json(content: BinaryIO, layout: Layout) -> Rows:
    """The entries of ``content``. Raises `Unreadable` or `TooLarge` before the first when the whole is refused."""
    raw = _whole(content, JSON_BYTES_MOST, "Send it as ndjson, one object a line, which has no such limit.")
    if not raw.lstrip().startswith(b"["):
        if not _is_json(raw):
            raise _unreadable("the content is not JSON")
        return iter([_row("entry 1", raw, layout)])
    try:
        entries = _ENTRIES.decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise _unreadable("the content is not JSON") from None
    if not entries:
        raise _unreadable("the list has no entry")
    return (_row(f"entry {place}", bytes(entry), layout) for place, entry in enumerate(entries, 1))


def _is_json(raw: bytes) -> bool:
    try:
        orjson.loads(raw)
    except orjson.JSONDecodeError:
        return False
    return True


def _whole(content: BinaryIO, most: int, cure: str) -> bytes:
    content.seek(0)
    raw = content.read(most + 1)
    if len(raw) > most:
        raise TooLarge(f"the content has more than {most:,} bytes", cure=cure)
    raw = raw.removeprefix(_MARK)
    if not raw.strip():
        raise _unreadable("the content is empty")
    return raw


def _unreadable(what: str) -> Unreadable:
    return Unreadable(what, cure=_CUT)


def read_ndjson(content: BinaryIO, layout: Layout) -> Rows:
    """The lines of ``content``. Raises `Unreadable` before the first when there is none, or the last is cut short."""
    content.seek(0)
    last, filled = b"", False
    while line := content.readline(ROW_CHARACTERS_MOST + 1):
        if len(line) > ROW_CHARACTERS_MOST:
            raise TooLarge(f"a line has more than {ROW_CHARACTERS_MOST:,} bytes")
        filled = filled or bool(line.strip(b" \t\r\n").removeprefix(_MARK))
        last = line
    if not filled:
        raise _unreadable("the content is empty")
    if not last.endswith(b"\n") and last.strip() and not _is_json(last.removeprefix(_MARK)):
        raise Unreadable("the content ends within its last line", cure="It was cut short: send it again whole.")
    return _lines(content, layout)


def _lines(content: BinaryIO, layout: Layout) -> Iterator[Row]:
    content.seek(0)
    for number, line in enumerate(iter(content.readline, b""), 1):
        raw = line.removeprefix(_MARK) if number == 1 else line
        yield _row(f"line {number}", raw if raw.endswith(b"\n") else raw + b"\n", layout)


def _row(position: str, raw: bytes, layout: Layout) -> Row:
    content = partial(bytes, raw)
    if not raw.strip():
        return Row(position, {}, blank=True, content=content)
    try:
        entry = _object(raw, position)
    except RejectedInput as fault:
        return Row(position, {}, blank=False, content=content, fault=fault)
    missing = [name for name in layout.required if name not in entry]
    if missing:
        named = " and ".join(f'"{name}"' for name in missing)
        return Row(position, {}, blank=False, content=content, fault=InvalidValue(f"the entry has no {named}", where=position))
    filled = {name: value for name, cell in entry.items() if (value := trim(cell)) not in BLANK}
    wanted = filled if layout.wanted is None else {name: filled[name] for name in filled if name in layout.wanted}
    return Row(position, wanted, not filled, content)


def _object(raw: bytes, where: str) -> dict[str, Any]:
    try:
        entry = orjson.loads(raw)
        twins = _twins(raw)
    except (orjson.JSONDecodeError, RecursionError, ValueError):
        raise Unreadable("the entry is not JSON", where=where) from None
    if not isinstance(entry, dict):
        raise Unreadable("the entry is not an object", where=where)
    if twins:
        raise Unreadable("the entry has a name twice", where=where, cure="Nothing says which of the two values is meant.")
    if len(entry) > FIELDS_MOST:
        raise TooLarge(f"the entry has more than {FIELDS_MOST:,} fields", where=where)
    return entry


def _twins(raw: bytes) -> bool:
    """Whether some object in ``raw`` has a name twice."""
    found = False

    def pairs(held: list[tuple[str, Any]]) -> None:
        nonlocal found
        found = found or len({name for name, _ in held}) < len(held)

    json.loads(raw, object_pairs_hook=pairs)
    return found


def read_form(content: BinaryIO, layout: Layout) -> Rows:
    """The one row of a posted form. Raises `Unreadable` or `TooLarge` when the whole is refused."""
    raw = _whole(content, FORM_BYTES_MOST, "A form has a few fields; send a table as CSV.")
    try:
        pairs = parse_qsl(
            raw.decode("ascii").strip(),
            keep_blank_values=True,
            strict_parsing=True,
            errors="strict",
            max_num_fields=FIELDS_MOST,
        )
    except ValueError:
        raise _unreadable(f"the content is not a form of at most {FIELDS_MOST:,} fields in UTF-8") from None
    cells = dict(pairs)
    if len(cells) < len(pairs):
        raise _unreadable("the form has a field twice")
    missing = [name for name in layout.required if name not in cells]
    if missing:
        named = " and ".join(f'"{name}"' for name in missing)
        raise _unreadable(f"the form has no field {named}")
    wanted = {
        name: text
        for name in sorted(cells)
        if (text := cells[name].strip()) and (layout.wanted is None or name in layout.wanted)
    }
    return iter([Row("form", wanted, not any(map(str.strip, cells.values())), partial(bytes, raw))])


READERS: dict[str, Callable[[BinaryIO, Layout], Rows]] = {"json": read_json, "ndjson": read_ndjson, "form": read_form}
"""By what the mapping reads."""
