"""JSON, ndjson and posted forms."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.tabular.rows.limits import FIELDS_MOST, FORM_BYTES_MOST, JSON_BYTES_MOST
from schemas.errors import RejectedInput
from tests.tabular_rows import SERVICES, items_of, one_event, refusal

JSON, NDJSON, FORM = (SERVICES.replace("reads: csv", f"reads: {kind}") for kind in ("json", "ndjson", "form"))
ENTRY: dict[str, Any] = {
    "Person Id": 1001,
    "NHS Number": 9990000018,
    "Event Type": "Service",
    "Service Type": "Meals",
    "Event Start Date": "03/02/2026",
}
LINE = json.dumps(ENTRY)
BAD = json.dumps(ENTRY | {"Event Start Date": "31/02/2026"})


def test_one_object_is_one_row() -> None:
    assert one_event(LINE, JSON).type == "service-started-1"


def test_a_list_has_a_row_an_entry() -> None:
    items = items_of(f"[{LINE}, {BAD}, {{}}, {LINE}]", JSON)
    assert [item.position for item in items] == ["entry 1", "entry 2", "entry 3", "entry 4"]
    assert [len(item.events) for item in items] == [1, 0, 0, 1]
    assert items[1].rejection is not None and items[1].rejection.content == BAD.encode()
    assert items[2].rejection is None, "an entry with nothing in it is a blank row"


def test_ndjson_has_a_row_a_line() -> None:
    items = items_of(f"{LINE}\n\n{BAD}\nrubbish\n{LINE}", NDJSON)
    assert [item.position for item in items] == ["line 1", "line 2", "line 3", "line 4", "line 5"]
    assert [len(item.events) for item in items] == [1, 0, 0, 0, 1]
    assert [item.rejection.error.code for item in items if item.rejection] == ["invalid-value", "unreadable"]
    assert items[3].rejection is not None and items[3].rejection.content == b"rubbish\n"


def test_a_form_is_one_row() -> None:
    event = one_event(urlencode({name: str(cell) for name, cell in ENTRY.items()}), FORM)
    assert event.type == "service-started-1"


def test_the_same_object_is_the_same_event_however_it_is_written() -> None:
    turned = json.dumps(dict(reversed(ENTRY.items())), indent=2)
    assert one_event(turned, JSON).id == one_event(LINE, JSON).id == one_event(f"[{LINE}]", JSON).id


def test_the_same_form_is_the_same_event_in_any_order() -> None:
    fields = [(name, str(cell)) for name, cell in ENTRY.items()]
    assert one_event(urlencode(fields[::-1]), FORM).id == one_event(urlencode(fields), FORM).id


@pytest.mark.parametrize("content", [f"[{LINE}, {BAD}]", BAD])
def test_a_rejected_entry_alone_makes_the_events_it_would_have_made_once_the_mapping_is_mended(content: str) -> None:
    rejection = next(item.rejection for item in items_of(content, JSON) if item.rejection)
    mended = JSON.replace("$day(`Event Start Date`)", '"2026-02-28"')
    in_list = items_of(content, mended)[-1]
    assert items_of(rejection.content, mended)[0].events[0].id == in_list.events[0].id


def test_an_expression_sees_what_json_holds() -> None:
    mapping = JSON.replace("'`Service Type`'", "'`Service Type`.kinds[0] & \" x\" & $string(`Service Type`.times + 1)'")
    nested = json.dumps(ENTRY | {"Service Type": {"kinds": ["Meals", "Tea"], "times": 4}}).replace("1001", '"1001"')
    mapping = mapping.replace("key: [Person Id, Service Type, Event Start Date]", "key: [Person Id, Event Start Date]")
    event = one_event(nested, mapping)
    assert b'"text":"Meals x5"' in bytes(event.data)


@pytest.mark.parametrize(
    ("content", "mapping", "says"),
    [
        (b"", JSON, "empty"),
        (b" \n ", NDJSON, "empty"),
        (b"", FORM, "empty"),
        (b"[]", JSON, "no entry"),
        (LINE.encode()[:-5], JSON, "not JSON"),
        (f"[{LINE}, {LINE[:-5]}".encode(), JSON, "not JSON"),
        (f"{LINE}\n{LINE[:-5]}".encode(), NDJSON, "ends within its last line"),
        (b"[" * 100_000, JSON, "not JSON"),
        (b'{"a":' * 100_000, JSON, "not JSON"),
        (b"\x00\x01\x02", JSON, "not JSON"),
        (b'"' + b" " * JSON_BYTES_MOST + b'"', JSON, "more than"),
        (b"a=" + b"x" * FORM_BYTES_MOST, FORM, "more than"),
        (b"&".join(b"a%d=1" % place for place in range(FIELDS_MOST + 1)), FORM, "not a form"),
        (b"Person+Id=1&Person+Id=2", FORM, "a field twice"),
        (b"Person+Id=%ff", FORM, "not a form"),
        (b"\xff\xfe", FORM, "not a form"),
        (b"just words", FORM, "not a form"),
    ],
)
def test_content_that_cannot_be_trusted_is_refused_whole(content: bytes, mapping: str, says: str) -> None:
    assert says in refusal(content, mapping)


@pytest.mark.parametrize(
    ("entry", "says"),
    [
        ('{"Person Id": "1001", "Person Id": "1002"}', "a name twice"),
        ('["a list"]', "not an object"),
        ("1", "not an object"),
        ('"a text"', "not an object"),
        ('{"Person Id": NaN}', "not JSON"),
        (json.dumps({f"field{place}": 1 for place in range(FIELDS_MOST + 1)}), "more than 1,000 fields"),
        (
            json.dumps(ENTRY | {"Person Id": ["a", "list"]}),
            'a list or an object where a text is needed at line 1, column "Person Id"',
        ),
        (json.dumps(ENTRY | {"Event Start Date": {"day": 3}}), 'line 1, column "Event Start Date"'),
        ('{"Person Id": "\\ud800"}', "not JSON"),
    ],
)
def test_an_entry_that_cannot_be_used_is_rejected_alone(entry: str, says: str) -> None:
    rejected, taken = items_of(f"{entry}\n{LINE}\n", NDJSON)
    assert rejected.rejection is not None and says in str(rejected.rejection.error) and len(taken.events) == 1


def test_a_field_that_the_mapping_requires_is_missed() -> None:
    columns = [*ENTRY, "Provider"]
    mapping = JSON.replace("reads: json", f"reads: json\ncolumns: {columns}")
    (item,) = items_of(LINE, mapping)
    assert item.rejection is not None and 'the entry has no "Provider" at entry 1' in str(item.rejection.error)


@given(st.binary(max_size=200), st.sampled_from([JSON, NDJSON, FORM]))
def test_no_bytes_raise_anything(content: bytes, mapping: str) -> None:
    for item in items_of(content, mapping):
        assert item.rejection is None or isinstance(item.rejection.error, RejectedInput)


_CELLS = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)


@given(st.dictionaries(st.sampled_from([*ENTRY, "other"]), _CELLS))
def test_no_entry_raises_anything(entry: dict[str, Any]) -> None:
    for item in items_of(json.dumps(ENTRY | entry), JSON):
        assert item.rejection is None or isinstance(item.rejection.error, RejectedInput)
