"""The check against FHIR R4: what it finds, how it names it, and that fhir.resources agrees.

fhir.resources is the reference. It is laxer in some things and stricter in a few; those differences are declared below and
nowhere else, and whatever else the two disagree on fails `test_a_changed_resource_is_judged_as_the_reference_judges_it`.
"""

from __future__ import annotations

import copy
import datetime
import json
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from fhir.resources.R4B import get_fhir_model_class
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from schemas.fhir.check import FAULTS_MOST, FhirFault, definitions, faults_in
from schemas.fhir.r4 import PRIMITIVES, RESOURCES
from schemas.identifiers import NhsNumber

EXAMPLES: dict[str, dict[str, Any]] = json.loads(Path(__file__).with_name("fhir_examples.json").read_text(encoding="utf-8"))
PUBLISHED = Path(__file__).parents[3] / "shared" / "data"

Step = str | int
Path_ = tuple[Step, ...]


def reference_accepts(resource: dict[str, Any]) -> bool:
    """Whether fhir.resources reads it. It answers an unknown type in a Bundle or a list as URL with a bare error."""
    try:
        get_fhir_model_class(resource["resourceType"]).model_validate(resource)
    except (ValidationError, KeyError, TypeError, AttributeError):
        return False
    return True


def at(resource: Any, element: str) -> Any:
    """The value that a fault's element names."""
    value = resource
    for step in re.findall(r"\.(\w+)|\[(\d+)\]", element):
        value = value[step[0]] if step[0] else value[int(step[1])]
    return value


def changed(resource: dict[str, Any], path: Path_, value: Any) -> dict[str, Any]:
    """A copy with one value changed."""
    result = copy.deepcopy(resource)
    parent: Any = result
    for step in path[:-1]:
        parent = parent[step]
    parent[path[-1]] = value
    return result


@pytest.mark.parametrize("name", EXAMPLES)
def test_a_valid_resource_has_no_faults(name: str) -> None:
    assert faults_in(EXAMPLES[name]) == []
    assert reference_accepts(EXAMPLES[name])


def test_every_resource_type_has_an_example() -> None:
    assert {example["resourceType"] for example in EXAMPLES.values()} == set(RESOURCES)


PATIENT = EXAMPLES["Patient with nothing"]
ENCOUNTER = EXAMPLES["Encounter"]


def patient(**elements: Any) -> dict[str, Any]:
    return PATIENT | elements


def bundle(resource: Any) -> dict[str, Any]:
    return {"resourceType": "Bundle", "type": "collection", "entry": [{"resource": resource}]}


UNKNOWN = "has an element that FHIR R4 does not define"
NO_CODE = "is not one of its codes"
NO_TYPE = "is not a resource type the backbone reads"
WEEKDAY = changed(EXAMPLES["Location"], ("hoursOfOperation", 0, "daysOfWeek", 0), "Monday")
FLAG = {"code": {"text": "a"}, "subject": {"display": "a"}}
A = {"id": "a"}
TWICE = {"url": "a", "valueString": "x", "valueCode": "y"}
TASK = {"resourceType": "Task", "status": "ready", "intent": "plan", "input": [{"type": {"text": "a"}}]}

INVALID: list[tuple[str, Any, str, str]] = [
    ("an unknown element", patient(favouriteColour="red"), "Patient", UNKNOWN),
    ("an unknown element deep inside", patient(name=[{"surname": "x"}]), "Patient.name[0]", UNKNOWN),
    ("an element of another resource", patient(status="active"), "Patient", UNKNOWN),
    ("an element of R4B", patient(extension=[{"url": "a", "valueRatioRange": {}}]), "Patient.extension[0]", UNKNOWN),
    ("a missing element", {"resourceType": "Encounter", "status": "planned"}, "Encounter", "lacks class"),
    ("a missing primitive", {"resourceType": "Encounter", "class": {"code": "IMP"}}, "Encounter", "lacks status"),
    ("a primitive with an id alone", {"resourceType": "Flag", "_status": A} | FLAG, "Flag", "lacks status"),
    ("a missing choice", TASK, "Task.input[0]", "lacks value[x]"),
    ("an extension without url", patient(extension=[{"valueString": "x"}]), "Patient.extension[0]", "lacks url"),
    ("a code outside its value set", patient(gender="F"), "Patient.gender", NO_CODE),
    ("a code in the wrong case", patient(gender="Female"), "Patient.gender", NO_CODE),
    ("a code of another list", ENCOUNTER | {"status": "active"}, "Encounter.status", NO_CODE),
    ("a code in a list", WEEKDAY, "Location.hoursOfOperation[0].daysOfWeek[0]", NO_CODE),
    ("two of a choice", patient(deceasedBoolean=True, deceasedDateTime="2020"), "Patient", "has more than one of deceased[x]"),
    ("two siblings", patient(deceasedBoolean=True, _deceasedDateTime=A), "Patient", "has more than one of deceased[x]"),
    ("two values", patient(extension=[TWICE]), "Patient.extension[0]", "has more than one of value[x]"),
    ("one where many belong", patient(name={"family": "x"}), "Patient.name", "is not a JSON array"),
    ("many where one belongs", patient(gender=["male"]), "Patient.gender", NO_CODE),
    ("text where an object belongs", patient(maritalStatus="Widowed"), "Patient.maritalStatus", "is not a JSON object"),
    ("null", patient(birthDate=None), "Patient.birthDate", "is not a valid date"),
    ("null instead of a list", patient(name=None), "Patient.name", "is not a JSON array"),
    ("null instead of an object", patient(maritalStatus=None), "Patient.maritalStatus", "is not a JSON object"),
    ("null for nothing", patient(name=[{"given": ["a", None]}]), "Patient.name[0]", "has null in given without _given"),
    ("an empty text", patient(name=[{"family": ""}]), "Patient.name[0].family", "is not a valid string"),
    ("an empty list", patient(name=[]), "Patient.name", "is empty"),
    ("an empty object", patient(name=[{}]), "Patient.name[0]", "is empty"),
    ("a resource of no type", {"id": "a"}, "Resource", "lacks resourceType"),
    ("a resource of an unknown type", {"resourceType": "Medication"}, "Resource.resourceType", NO_TYPE),
    ("a type that is no text", {"resourceType": ["Patient"]}, "Resource.resourceType", NO_TYPE),
    ("no resource", "Patient", "Resource", "is not a JSON object"),
    ("an unknown contained type", patient(contained=[{"resourceType": "X"}]), "Patient.contained[0].resourceType", NO_TYPE),
    ("a fault in a contained one", patient(contained=[patient(gender="F")]), "Patient.contained[0].gender", NO_CODE),
    ("a fault in a Bundle", bundle(patient(gender="F")), "Bundle.entry[0].resource.gender", NO_CODE),
    ("an entry without a type", bundle({"id": "a"}), "Bundle.entry[0].resource", "lacks resourceType"),
    ("an entry that is text", bundle("a"), "Bundle.entry[0].resource", "is not a JSON object"),
]


@pytest.mark.parametrize(("resource", "element", "reason"), [row[1:] for row in INVALID], ids=[row[0] for row in INVALID])
def test_a_fault_is_named_by_its_element_and_reason_alone(resource: Any, element: str, reason: str) -> None:
    assert faults_in(resource) == [FhirFault(element, reason)]


class Values(NamedTuple):
    """How values of one primitive type may and may not be written."""

    valid: list[Any]
    invalid: list[Any]


PRIMITIVE: dict[str, Values] = {
    "boolean": Values([True, False], [0, "true", None]),
    "decimal": Values([1, -0.5, 1e3], [True, "1.5"]),
    "integer": Values([-(2**31), 2**31 - 1, 0], [-(2**31) - 1, 2**31, 1.5, "2", True]),
    "unsignedInt": Values([0, 2**31 - 1], [-1, 2**31]),
    "positiveInt": Values([1], [0, -1]),
    "string": Values(["a", " a\r\n\tb ", "é👪", "\u00a0"], ["", "\x0b", "a\x00b", 1]),
    "markdown": Values(["# a\n"], ["", "\x07"]),
    "code": Values(["a", "a b"], ["a  b", " a", "en ", "a\tb", ""]),
    "id": Values(["A-1.b", "x" * 64], ["a_b", "a b", "", "x" * 65]),
    "uri": Values(["urn:x", "../a#b"], ["", "a b", "a\x00"]),
    "url": Values(["https://example.org"], ["a b", ""]),
    "canonical": Values(["https://example.org/a|1"], ["", "a b"]),
    "oid": Values(["urn:oid:1.2.0.33"], ["urn:oid:3.1", "urn:oid:1.02", "1.2.3"]),
    "uuid": Values(["urn:uuid:c757873d-ec9a-4326-a141-556f43239520"], ["c757873d-ec9a-4326-a141-556f43239520"]),
    "base64Binary": Values(["aGVsbG8=", "aGVs\nbG8="], ["abc", "é===", ""]),
}
TIMES: dict[str, Values] = {
    "date": Values(
        ["2026", "2026-02", "2026-02-03", "2024-02-29", "2000-02-29", "0001", "9999-12-31", "2026-04-30", "2026-12-31"],
        [
            *["26", "2026-2", "2026-02-30", "2023-02-29", "1900-02-29", "2026-04-31", "2026-13", "2026-00", "2026-01-00"],
            *["2026-01-32", "0000", "2026-02-03T10:00:00Z", "03/02/2026", "２０２６", "2026-02-03\n", " 2026"],
        ],
    ),
    "dateTime": Values(
        [
            *["2026", "2026-02", "2026-02-03", "2026-02-03T10:00:00Z", "2026-02-03T10:00:00.123456789+01:00"],
            *["2016-12-31T23:59:60Z", "2024-02-29T00:00:00-14:00", "2026-02-03T23:59:59+13:59"],
        ],
        [
            *["2026-02-03T10:00Z", "2026-02-03T10:00:00", "2026-02-03T24:00:00Z", "2026-02-30T10:00:00Z", "2026-02T10:00:00Z"],
            *["2026-02-03T10:00:00+14:01", "2026-02-03t10:00:00z", "2026-02-03 10:00:00Z", "2026-02-03T10:00:00.Z"],
        ],
    ),
    "instant": Values(
        ["2026-02-03T10:00:00Z", "2026-02-03T10:00:00.5+01:00"],
        ["2026", "2026-02-03", "2026-02-03T10:00:00", "2025-02-29T10:00:00Z"],
    ),
    "time": Values(["10:00:00", "23:59:60", "00:00:00.001"], ["10:00", "24:00:00", "10:00:00Z", "10:60:00"]),
}


def holder(primitive: str, value: Any) -> dict[str, Any]:
    """A Patient with one extension that holds ``value`` as ``primitive``."""
    return patient(extension=[{"url": "a", f"value{primitive[:1].upper()}{primitive[1:]}": value}])


def rows(table: dict[str, Values]) -> list[tuple[str, Any, bool]]:
    valid = [(name, value, True) for name, values in table.items() for value in values.valid]
    return valid + [(name, value, False) for name, values in table.items() for value in values.invalid]


@pytest.mark.parametrize(("primitive", "value", "valid"), rows(PRIMITIVE | TIMES))
def test_a_primitive_is_written_as_fhir_writes_it(primitive: str, value: Any, valid: bool) -> None:
    element = f"Patient.extension[0].value{primitive[:1].upper()}{primitive[1:]}"
    assert faults_in(holder(primitive, value)) == ([] if valid else [FhirFault(element, f"is not a valid {primitive}")])


@pytest.mark.parametrize(("primitive", "value", "valid"), rows(TIMES))
def test_the_reference_knows_the_same_times_to_be_impossible(primitive: str, value: str, valid: bool) -> None:
    assert reference_accepts(holder(primitive, value)) is valid


def test_every_primitive_type_is_in_a_table_above() -> None:
    assert {*PRIMITIVE, *TIMES, "xhtml"} == set(PRIMITIVES)


ODD: list[Any] = ["\ud800", b"x", {1: "x"}, object(), float("nan"), float("inf"), (1,), 10**400]


@pytest.mark.parametrize("value", ODD, ids=lambda value: type(value).__name__)
def test_what_json_cannot_hold_is_a_fault_and_no_exception(value: Any) -> None:
    assert faults_in({"resourceType": "Patient", "name": [{"family": value}]}) != []


def test_what_is_written_as_json_is_judged_as_it_is_written() -> None:
    number, born = NhsNumber("9990000018"), datetime.date(1941, 3, 9)
    assert faults_in(patient(identifier=[{"value": number}], birthDate=born)) == []
    assert faults_in(patient(identifier=[{"value": number}], gender=born)) == [FhirFault("Patient.gender", NO_CODE)]


def test_a_resource_nested_as_deeply_as_json_may_be_is_checked_to_the_bottom() -> None:
    def nested(innermost: dict[str, Any]) -> dict[str, Any]:
        extension = innermost
        for _ in range(500):
            extension = {"url": "a", "extension": [extension]}
        return {"resourceType": "Patient", "extension": [extension]}

    assert faults_in(nested({"url": "a", "valueString": "x"})) == []
    assert [fault.reason for fault in faults_in(nested({"url": "a", "valueString": ""}))] == ["is not a valid string"]


@pytest.mark.parametrize(("faults", "named"), [(1, 1), (99, 99), (1_000, FAULTS_MOST), (100_000, 1)])
def test_many_faults_are_answered_by_a_few(faults: int, named: int) -> None:
    assert len(faults_in(patient(name=[{"family": ""}] * faults))) == named


def test_checking_loads_no_model_objects() -> None:
    program = (
        "import sys, schemas.fhir.check as f; f.faults_in({}); sys.exit('fhir' in sys.modules or 'pydantic' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", program], cwd=Path(__file__).parents[2], check=False).returncode == 0


def test_every_rule_of_the_schema_says_what_breaking_it_means() -> None:
    rules = [rule for definition in definitions().values() for rule in definition.get("allOf", ())]
    assert rules
    assert all(rule["$comment"].startswith(("lacks ", "has ")) for rule in rules)


# --- agreement with the reference ---------------------------------------------------------------------------------------------

REPLACEMENTS: list[Any] = [
    *[
        None,
        "",
        [],
        {},
        0,
        -1,
        2**40,
        1.5,
        True,
        "text",
        " ",
        "a  b",
        "a\tb",
        " a",
        "a\x00b",
        "\u00a0",
        "é",
        "1",
        "data",
        "====",
    ],
    *[
        "2026-02-31",
        "2024-02-29",
        "0000",
        "2026-13",
        "2026-02-03T10:00",
        "2026-02-03T10:00:00Z",
        "2016-12-31T23:59:60Z",
        "24:00:00",
    ],
    *["10:00:00", ["a"], [None], {"a": 1}, {"text": "x"}, {"id": "x"}, "urn:oid:1.2", "x" * 65, {"extension": [{"url": "a"}]}],
]


def paths(value: Any, so_far: Path_ = ()) -> Iterator[Path_]:
    """The paths of everything inside ``value``."""
    inside: Any = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for step, inner in inside:
        yield (*so_far, step)
        yield from paths(inner, (*so_far, step))


@st.composite
def changed_examples(draw: st.DrawFn) -> dict[str, Any]:
    """A valid resource with one thing changed, removed, added, or put in or out of a list."""
    resource = copy.deepcopy(draw(st.sampled_from([example for example in EXAMPLES.values() if len(example) > 1])))
    path = draw(st.sampled_from([path for path in paths(resource) if path != ("resourceType",)]))
    parent: Any = resource
    for step in path[:-1]:
        parent = parent[step]
    step = path[-1]
    change = draw(st.sampled_from(["replace", "replace", "remove", "wrap", "unwrap", "add", "sibling"]))
    if change == "remove":
        del parent[step]
    elif change == "wrap":
        parent[step] = [parent[step]]
    elif change == "unwrap" and isinstance(parent[step], list):
        parent[step] = parent[step][0]
    elif change == "add" and isinstance(parent, dict):
        parent["unheardOf"] = draw(st.sampled_from(REPLACEMENTS))
    elif change == "sibling" and isinstance(parent, dict):
        parent[f"_{step}"] = draw(st.sampled_from([{"id": "x"}, [{"id": "x"}], [None, {"id": "x"}]]))
    else:
        parent[step] = draw(st.sampled_from(REPLACEMENTS))
    return dict(resource)


PYTHON_TYPE: dict[str, Any] = {"string": str, "boolean": bool, "integer": int, "number": (int, float)}


def of_another_json_type(fault: FhirFault, value: Any) -> bool:
    """pydantic makes a date of a number, a number of text, a flag of a number."""
    wanted = PRIMITIVES[fault.reason.split()[-1]]["type"] if fault.reason.startswith("is not a valid ") else "string"
    return not isinstance(value, PYTHON_TYPE[wanted]) or (isinstance(value, bool) and wanted != "boolean")


STRICTER: dict[str, Callable[[FhirFault, Any], bool]] = {
    "codes of required bindings are checked": lambda fault, _: fault.reason == "is not one of its codes",
    "nothing is empty": lambda fault, value: fault.reason == "is empty" or value == "",
    "nothing is null": lambda fault, value: value is None or fault.reason.startswith("has null in "),
    "an entry's resource states its type": lambda fault, _: fault.reason == "lacks resourceType",
    "values are not converted": of_another_json_type,
    "texts have no control characters": lambda _, value: (
        isinstance(value, str) and re.search(r"[\x00-\x08]", value) is not None
    ),
    "codes and URIs have no stray white space": lambda _, value: isinstance(value, str) and re.search(r"\s", value) is not None,
    "XHTML has no extensions": lambda _, value: isinstance(value, dict) and "_div" in value,
    "an id has at most 64 characters": lambda fault, value: fault.reason == "is not a valid id" and len(str(value)) > 64,
    "base64 is whole": lambda fault, _: fault.reason == "is not a valid base64Binary",
}
"""What we refuse and fhir.resources accepts, with how such a fault is known."""

LAXER: dict[str, Callable[[dict[str, Any]], bool]] = {
    "a no-break space is a character": lambda resource: "\\u00a0" in json.dumps(resource),
    "the value of an extension may have extensions": lambda resource: (
        re.search(r'"_value[A-Z]|"_url"', json.dumps(resource)) is not None
    ),
}
"""What we accept and fhir.resources refuses."""


@settings(max_examples=400, deadline=None, derandomize=True)
@given(changed_examples())
def test_a_changed_resource_is_judged_as_the_reference_judges_it(resource: dict[str, Any]) -> None:
    faults = faults_in(resource)
    if reference_accepts(resource):
        unexplained = [
            fault for fault in faults if not any(known(fault, at(resource, fault.element)) for known in STRICTER.values())
        ]
        assert unexplained == []
    elif not faults:
        assert any(known(resource) for known in LAXER.values()), "refused by the reference alone"


CANARY = "Zebedee 9990000018"


@settings(max_examples=300, deadline=None)
@given(changed_examples(), st.data())
def test_no_message_holds_anything_of_the_content(resource: dict[str, Any], data: st.DataObject) -> None:
    path = data.draw(st.sampled_from(list(paths(resource))))
    shape = data.draw(
        st.sampled_from([CANARY, [CANARY], {CANARY: 1}, {"resourceType": CANARY}, {"id": CANARY}, {f"_{CANARY}": {}}])
    )
    faults = faults_in(changed(resource, path, shape))
    assert not any(CANARY in part for fault in faults for part in fault)


# --- published examples -------------------------------------------------------------------------------------------------------

UNFINISHED = {
    "process-message-success.json": {
        FhirFault("Bundle.entry[1].resource.participant[0]", "lacks status"),
        FhirFault("Bundle.entry[3].resource", "has an element that FHIR R4 does not define"),
        FhirFault("Bundle.entry[3].resource", "lacks schedule"),
        *(FhirFault(f"Bundle.entry[{number}].resource.id", "is not a valid id") for number in (4, 5, 6, 7, 8)),
    }
}
"""Published examples that are not FHIR R4 themselves (placeholders for ids, a misspelt element), with all their faults."""

SAMPLES = sorted(PUBLISHED.glob("pds/*.json")) + sorted(PUBLISHED.glob("bars/*.json"))


@pytest.mark.skipif(not SAMPLES, reason="the published samples are not beside this checkout")
@pytest.mark.parametrize("sample", SAMPLES, ids=lambda path: path.name)
def test_a_published_example_is_valid(sample: Path) -> None:
    resource = json.loads(sample.read_text(encoding="utf-8"))
    expected = UNFINISHED.get(sample.name, set())
    assert set(faults_in(resource)) == expected
    assert reference_accepts(resource) is not bool(expected)
