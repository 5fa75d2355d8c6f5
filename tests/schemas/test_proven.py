"""What was found valid before need not be looked at again, and nothing else escapes the check."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import pytest

from schemas.fhir.bundle import collection, write
from schemas.fhir.check import faults_in, is_valid
from schemas.fhir.proven import Proven, proven, tied
from schemas.identifiers import FactId, RecordKey

EXAMPLES: dict[str, dict[str, Any]] = json.loads(Path(__file__).with_name("fhir_examples.json").read_text(encoding="utf-8"))
PATIENT: dict[str, Any] = {"resourceType": "Patient", "name": [{"family": "Ashdown"}], "deceasedBoolean": False}
VALUES: list[Any] = ["text", True, 1, [], {}, [{"text": "a"}], {"unknown": "a"}, None]
"""What an element is changed to: most are wrong for most elements, and some right."""


def known(resource: dict[str, Any]) -> Proven:
    found = proven(resource)
    assert found
    return found


def judged(before: Proven, resource: dict[str, Any]) -> bool:
    """Whether ``resource`` is found valid when so much of it is known."""
    rest, _ = before.split(resource)
    return not rest or is_valid(rest)


@pytest.mark.parametrize("name", EXAMPLES)
def test_a_change_of_what_is_known_is_judged_and_written_as_if_nothing_were(name: str) -> None:
    before = known(EXAMPLES[name])
    kind = EXAMPLES[name]["resourceType"]
    for element in {*EXAMPLES[name], *tied(kind), "unknown"} - {"resourceType"}:
        for value in VALUES:
            now = EXAMPLES[name] | {element: value}
            assert judged(before, now) is (faults_in(now) == []), (element, value)
            assert write(dict(before.split(now)[1])) == write(now)
        left = {key: held for key, held in EXAMPLES[name].items() if key != element}
        assert judged(before, left) is (faults_in(left) == []), element


@pytest.mark.parametrize("name", EXAMPLES)
def test_the_same_resource_is_written_as_it_is(name: str) -> None:
    rest, shown = known(EXAMPLES[name]).split(EXAMPLES[name])
    assert not rest
    bundle = collection(shown, FactId("f"), {"resourceType": "Patient"}, RecordKey("r"))
    assert write(bundle) == write(collection(EXAMPLES[name], FactId("f"), {"resourceType": "Patient"}, RecordKey("r")))


def test_an_equal_copy_is_looked_at_like_anything_new() -> None:
    rest, _ = known(PATIENT).split(copy.deepcopy(PATIENT))
    assert rest == PATIENT


def test_two_options_of_a_choice_are_found_although_one_is_known() -> None:
    assert not judged(known(PATIENT), PATIENT | {"deceasedDateTime": "2026-02-03"})


def test_what_is_not_valid_is_never_known() -> None:
    assert proven(PATIENT | {"gender": "F"}) is None


def test_what_demands_or_excludes_another_is_tied() -> None:
    assert {"resourceType", "class", "status"} <= tied("Encounter")
    assert {"deceasedBoolean", "deceasedDateTime"} <= tied("Patient")
    assert "location" not in tied("Encounter")
