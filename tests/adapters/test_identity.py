"""Whose record it is, in every format: the source's own identifier, else one valid NHS number, else nobody's."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from adapters.identity import RefusalWords, record_named
from adapters.translator import Arrival
from schemas.errors import MissingIdentifier
from schemas.identifiers import LocalId, NhsNumber
from schemas.pseudonyms import Pseudonyms
from schemas.source import Sector, Source

SOURCE = Source(id="northfield-pas", name="Northfield Hospital", sector=Sector.NHS)
KEYS = Pseudonyms(bytes(32))
ARRIVAL = Arrival(SOURCE, datetime(2026, 4, 1, tzinfo=UTC), KEYS)
WORDS = RefusalWords(where="PID-3", none="there is none", several="there are several")
LOCAL, ONE, OTHER = LocalId("N1"), NhsNumber("9990000018"), NhsNumber("9990000026")


@pytest.mark.parametrize("numbers", [[], [ONE], [ONE, OTHER]])
@pytest.mark.parametrize("invalid", [[], ["PID-3"]])
def test_the_sources_own_identifier_names_the_record_whatever_numbers_there_are(
    numbers: list[NhsNumber], invalid: list[str]
) -> None:
    named = record_named(ARRIVAL, LOCAL, numbers, invalid, WORDS)
    assert named.key == KEYS.record(SOURCE.id, LOCAL)
    assert named.own == [{"system": SOURCE.urn, "value": "N1"}]
    assert named.flags == [f"nhs-number-invalid at {where}" for where in invalid]


@pytest.mark.parametrize("invalid", [[], ["PID-3"]])
def test_without_one_the_only_valid_number_does(invalid: list[str]) -> None:
    named = record_named(ARRIVAL, None, [ONE], invalid, WORDS)
    assert (named.key, named.own) == (KEYS.record_by_number(SOURCE.id, ONE), [])
    assert named.flags == [f"nhs-number-invalid at {where}" for where in invalid]


@pytest.mark.parametrize(
    ("numbers", "invalid", "says"),
    [
        ([], [], "there is none"),
        ([ONE, OTHER], [], "there are several"),
        ([ONE, OTHER], ["PID-3"], "there are several"),
        ([], ["PID-3"], "the NHS number fails its own check"),
    ],
)
def test_otherwise_it_is_refused_in_the_words_of_the_format(numbers: list[NhsNumber], invalid: list[str], says: str) -> None:
    with pytest.raises(MissingIdentifier, match=f"{says}.* at PID-3"):
        record_named(ARRIVAL, None, numbers, invalid, WORDS)
