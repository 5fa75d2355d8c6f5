"""The packaged schema is the one that is generated."""

from __future__ import annotations

from schemas.fhir.definitions import PACKAGED, text


def test_the_packaged_schema_is_in_step_with_fhir_resources() -> None:
    assert PACKAGED.read_text(encoding="utf-8") == text(), "run `python -m schemas.fhir.definitions` and look at what changed"
