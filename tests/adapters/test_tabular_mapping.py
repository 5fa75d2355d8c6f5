"""Every fault of a mapping file is said with its line and with what to write instead."""

from __future__ import annotations

import string

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from adapters.tabular.mapping.load import load_mapping
from schemas.errors import MappingError, SettingsError
from tests.tabular_rows import SERVICES

LINES = SERVICES.splitlines()


def line_of(text: str) -> int:
    """The line of `SERVICES` that holds ``text``."""
    return next(number for number, line in enumerate(LINES, 1) if text in line)


def fault(text: str) -> str:
    """What reading ``text`` says is wrong."""
    with pytest.raises(MappingError) as caught:
        load_mapping(text, "council.yaml")
    assert isinstance(caught.value, SettingsError) and caught.value.where.startswith("council.yaml")
    return str(caught.value)


@pytest.mark.parametrize(
    ("old", "new", "where", "says", "instead"),
    [
        ("event: service-started-1", "event: service-startd-1", "event:", "no event type", "service-started-1"),
        ("event: service-started-1", "event: started", "event:", "no event type", "service-started-1"),
        ("reads: csv", "reads: cvs", "reads:", 'reads is "cvs"', '"csv"'),
        ("reads: csv", "reads: [csv]", "reads:", "not a text", "one value"),
        ("each:", "eech:", "each:", 'no key "eech"', '"each"'),
        ("when:", "wehn:", "when:", 'no key "wehn"', '"when"'),
        ("record: [Person Id]", "record: {a: b}", "record:", "not a list", "[one, two]"),
        ("record: [Person Id]", "record: [[a]]", "record:", "not a text", "one value"),
        ("Person Id, Service Type, E", "Person Id, Servce Type, E", "key:", 'names a column "Servce Type"', '"Service Type"'),
        ("'`Event Type` = \"Service\"'", "'`Event Type` = '", "when:", "not JSONata: it ends too early, at character", "S0207"),
        ("'`Service Type`'", "'`Service Type'", "type: [", "backticks is not closed", "in backticks"),
        ("'`Service Type`'", "'Service Type'", "type: [", "operator should, at character", "in backticks"),
        ("'`Service Type`'", "''", "type: [", "not an expression", "JSONata in quotes"),
        ("'`Service Type`'", "", "type: [", "has no value", "expression"),
        ("'`Service Type`'", "'" + "x" * 3_000 + "'", "type: [", "more than 2,000 characters", ""),
        ("$day(", "$dya(", "occurred_at: '", "no function $dya", '"$day"'),
        ("$day(", "$Day(", "occurred_at: '", "no function $Day", '"$day"'),
        ("$day(`Event Start Date`)", "$day()", "occurred_at: '", "called with 0 values", "takes 1"),
        ("$day(`Event Start Date`)", "$moment(a, b, c)", "occurred_at: '", "called with 3 values", "1 or 2"),
        ("$day(`Event Start Date`)", "$now()", "occurred_at: '", "$now may not be called", "same event"),
        ("$day(`Event Start Date`)", '$eval("1")', "occurred_at: '", "$eval may not be called", "as code"),
        ("$day(`Event Start Date`)", '$code("nam", A)', "occurred_at: '", 'no code map "nam"', "codes:"),
        ("$day(`Event Start Date`)", "$code(A, B)", "occurred_at: '", "without the name of a code map", "$code("),
        ("$day(`Event Start Date`)", "$dat", "occurred_at: '", "variable $dat has no value", '"$day"'),
        ("occurred_at: '$day(`Event Start Date`)'", "occurred_at: 2026", "occurred_at: ", "not an expression", "in quotes"),
        ("    occurred_at: '$day(`Event Start Date`)'\n", "", "event:", "does not say `occurred_at`", "$day("),
        ("    key: [Person Id, Service Type, Event Start Date]\n", "", "event:", "does not say `key`", "key: ["),
        ("resourceType: EpisodeOfCare", "resourceType: Encounter", "resourceType", "is about no Encounter", "EpisodeOfCare"),
        ("type: [{", "tpye: [{", "type: [", 'no element "tpye" in FHIR R4', '"type"'),
        ("type: [{text: '`Service Type`'}]", "type: {text: A}", "type: [", "is a list in FHIR", "brackets"),
        ("[{text: '`Service Type`'}]", "[{text: [A]}]", "type: [", "no list in FHIR", "brackets"),
        ("[{text: '`Service Type`'}]", "[{text: {a: A}}]", "type: [", "no elements in FHIR", "one expression"),
        ("source: riverside", "source: &here riverside", "source:", "anchors and aliases", "Write the value out"),
        ("source: riverside", "source: !!python/name:os.system riverside", "source:", "tag", "leave the tag out"),
        ("source: riverside", "source: !thing riverside", "source:", "tag", "leave the tag out"),
        ("nhs_number: NHS Number", "record: [NHS Number]", "nhs_number", 'key "record" appears twice', "Keep one"),
        ("nhs_number: NHS Number", '"\\uD800": x', "nhs_number", "half a character", "itself"),
        ("    focus:", "   focus:", "focus:", "not YAML", "indentation"),
        ("makes: [{event: service-started-1", "makes: [{event: service-start", "makes:", "no event type", "service-started-1"),
        ("makes: [{event: service-started-1,", "makes: [{evnt: service-started-1,", "makes:", 'no key "evnt"', '"event"'),
        ("- row: {", "- rwo: {", "- row", 'no key "rwo"', '"row"'),
        ("    makes: [{event: service-started-1, occurred_at: 2026-02-03}]", "", "- row", "neither `makes`", "makes: []"),
    ],
)
def test_a_fault_is_said_with_its_line_and_the_cure(old: str, new: str, where: str, says: str, instead: str) -> None:
    assert old in SERVICES
    message = fault(SERVICES.replace(old, new, 1))
    assert f"council.yaml, line {line_of(where)}" in message
    assert says in message and instead in message


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "the file is empty"),
        ("# nothing\n", "the file is empty"),
        ("just words", "not a set of keys"),
        ("- a list", "not a set of keys"),
        ("reads: csv", "nothing says whose record"),
        ("record: [a]", "does not say `reads`"),
        ("reads: csv\nrecord: [a]\neach: []", "each is empty"),
        ("reads: csv\nrecord: [a]", "does not say `each`"),
        ("a: b\x07", "characters that YAML does not allow"),
        ("a: " + "[" * 100 + "]" * 100, "nests deeper than"),
        ("a: " + "[" * 100_000, "nests deeper than"),
        ("# " + "x" * 1_000_001, "more than 1,000,000 characters"),
        ("? [a]\n: b", "a key is a list"),
        ("a: b\n---\nc: d", "not YAML"),
        ("a: {b: *c}", "anchors"),
    ],
)
def test_a_file_that_is_no_mapping_says_so(text: str, says: str) -> None:
    assert says in fault(text)


def declared(*columns: str, **keys: str) -> str:
    """`SERVICES` with declared columns and other keys at the top."""
    names = ["Person Id", "NHS Number", "Event Type", "Service Type", "Event Start Date", *columns]
    more = "".join(f"{key}: {value}\n" for key, value in keys.items())
    return SERVICES.replace("each:", f"columns: {names}\n{more}each:", 1)


def test_with_declared_columns_an_expression_reads_no_other() -> None:
    assert load_mapping(declared(), "x.yaml").layout.required[-1] == "Event Start Date"
    message = fault(declared().replace("text: '`Service Type`'", "text: Servicetype"))
    assert 'reads the column "Servicetype", which is not declared' in message and '"Service Type"' in message


def test_a_bare_word_that_is_no_column_is_told_from_a_text() -> None:
    assert "For the text itself write '\"active\"'" in fault(declared().replace("type: [{", "status: active\n      type: [{"))


def test_a_column_that_may_be_missing_is_optional() -> None:
    mapping = load_mapping(declared("Provider", optional="[Provider]"), "x.yaml")
    assert "Provider" not in mapping.layout.required


@pytest.mark.parametrize(
    ("key", "value", "says"),
    [
        ("unmatched", "refuse", 'unmatched is "refuse"'),
        ("delimiter", "comma", "not a single character"),
        ("delimiter", '"\\n"', "not a single character"),
        ("sequence", "'$dya(A)'", "no function $dya"),
        ("sensitivity", "Restriction", "reads the column"),
        ("codes", "{a: {X: null}}", "becomes nothing"),
        ("codes", "{a: {Meals: 1, meals: 2}}", "twice"),
        ("codes", "{a: b}", "not a set of keys"),
        ("patient", "{brithDate: A}", 'no element "brithDate"'),
        ("patient", "[a]", "no list in FHIR"),
    ],
)
def test_other_keys_have_their_faults(key: str, value: str, says: str) -> None:
    assert says in fault(declared(**{key: value}))


@pytest.mark.parametrize(
    ("entry", "says"),
    [
        ("event: person-died-1\n    focus: {active: true}", "about the Patient itself"),
        ("event: entry-withdrawn-1", "may be about any resource"),
        ("event: service-started-1\n    others: [{name: '\"x\"'}]", "does not say `resourceType`"),
        ("event: service-started-1\n    others: [{resourceType: Organisation}]", '"Organization"'),
        ("event: service-started-1\n    focus: {resourceType: [a]}", "not a text"),
        ("event: service-started-1\n    focus: text", "not a set of keys"),
        ("event: service-started-1\n    focus: {period: 5}", "elements of its own"),
    ],
)
def test_what_an_event_is_about_has_its_faults(entry: str, says: str) -> None:
    text = f"source: s\nreads: csv\nrecord: [A]\neach:\n  - {entry}\n    key: [A]\n    occurred_at: '$day(B)'\n"
    assert says in fault(text)


def test_plain_scalars_are_what_they_look_like() -> None:
    """YAML 1.1 would read `No` as false, `10:30` as 630, `0123` as 83 and a date as no text."""
    text = SERVICES.replace(
        'Person Id: "1001", Event Type: Service', "Person Id: 0123, Event Type: No, Time: 10:30, Count: 1_000, Ends: null"
    )
    (example,) = load_mapping(text, "x.yaml").tests
    assert example.row == {
        "Person Id": "0123",
        "Event Type": "No",
        "Time": "10:30",
        "Count": "1_000",
        "Service Type": "Meals",
        "Event Start Date": "03/02/2026",
    }


def test_comments_and_tests_are_no_part_of_the_version_and_meaning_is() -> None:
    version = load_mapping(SERVICES, "x.yaml").version
    assert load_mapping("# more\n" + SERVICES.split("tests:")[0], "y.yaml").version == version
    assert load_mapping(SERVICES.replace("Service Type`", "Event Type`"), "x.yaml").version != version


_WORDS = sorted({word for line in LINES for word in line.replace(":", " : ").split()})


@given(st.text())
def test_no_text_raises_anything_but_a_mapping_error(text: str) -> None:
    try:
        load_mapping(text, "x.yaml")
    except MappingError as error:
        assert error.cure and error.where


@given(st.integers(0, len(SERVICES)), st.integers(0, 40), st.one_of(st.text(max_size=8), st.sampled_from(_WORDS)))
def test_no_slip_raises_anything_but_a_mapping_error(at: int, length: int, other: str) -> None:
    try:
        load_mapping(SERVICES[:at] + other + SERVICES[at + length :], "x.yaml")
    except MappingError as error:
        assert error.cure and error.where


_TREES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(alphabet=string.printable, max_size=12) | st.sampled_from(_WORDS),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(_WORDS) | st.text(max_size=5), inner, max_size=4)
    ),
    max_leaves=12,
)
_KEYS = ["source", "reads", "record", "each", "tests", "codes", "patient", "columns", "optional", "sensitivity", "nhs_number"]


@given(st.sampled_from(_KEYS), _TREES)
def test_no_shape_of_a_key_raises_anything_but_a_mapping_error(key: str, tree: object) -> None:
    text = yaml.safe_dump(yaml.safe_load(SERVICES) | {key: tree})
    try:
        load_mapping(text, "x.yaml")
    except MappingError as error:
        assert error.cure and error.where


@given(st.text(alphabet="ab`\"'$(){}[]/.,:;?=<>&|~*+-% \\@#^!01", max_size=30))
def test_no_expression_raises_anything_but_a_mapping_error(expression: str) -> None:
    quoted = "'" + expression.replace("'", "''") + "'"
    try:
        load_mapping(SERVICES.replace("'`Service Type`'", quoted), "x.yaml")
    except MappingError as error:
        assert error.cure and error.where == f"x.yaml, line {line_of('type: [')}"
