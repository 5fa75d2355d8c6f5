"""Which translator reads which media type of which source."""

from __future__ import annotations

import pytest

from adapters.registry import FORMATS, Registry
from schemas.errors import Unsupported
from schemas.source import Sector, Source
from tests.line_translator import LineTranslator

HL7V2, FHIR, CLOUDEVENTS = LineTranslator("hl7v2"), LineTranslator("fhir"), LineTranslator("cloudevents")
MAPPING = LineTranslator("riverside-adult-care.yaml")
SHARED = {"hl7v2": HL7V2, "fhir": FHIR, "cloudevents": CLOUDEVENTS}
REGISTRY = Registry(
    {"northfield-pas": HL7V2, "riverside-adult-care": MAPPING, "north-ambulance": FHIR, "national": CLOUDEVENTS}, SHARED
)

HOSPITAL = Source(id="northfield-pas", name="Northfield Hospital", sector=Sector.NHS)
AMBULANCE = Source(id="north-ambulance", name="North Ambulance", sector=Sector.NHS)
NATIONAL = Source(id="national", name="National events", sector=Sector.NHS)
COUNCIL = Source(id="riverside-adult-care", name="Riverside Council", sector=Sector.COUNCIL)


@pytest.mark.parametrize(
    ("source", "media_type", "expected"),
    [
        (HOSPITAL, "application/hl7-v2", HL7V2),
        (HOSPITAL, "application/hl7-v2+er7", HL7V2),
        (HOSPITAL, "x-application/hl7-v2+er7; charset=utf-8", HL7V2),
        (HOSPITAL, "", HL7V2),
        (HOSPITAL, "application/octet-stream", HL7V2),
        (HOSPITAL, "text/plain", HL7V2),
        (HOSPITAL, "application/fhir+json", FHIR),
        (COUNCIL, "text/csv", MAPPING),
        (COUNCIL, "application/csv", MAPPING),
        (COUNCIL, "text/tab-separated-values", MAPPING),
        (COUNCIL, "application/ndjson", MAPPING),
        (COUNCIL, "TEXT/CSV; header=present", MAPPING),
        (COUNCIL, "application/vnd.ms-excel", MAPPING),
        (COUNCIL, "application/x-www-form-urlencoded", MAPPING),
        (COUNCIL, "application/octet-stream", MAPPING),
        (COUNCIL, "", MAPPING),
        (COUNCIL, "application/json", MAPPING),
        (AMBULANCE, "application/json", FHIR),
        (AMBULANCE, "application/fhir+json; fhirVersion=4.0", FHIR),
        (COUNCIL, "text/csv; fhirVersion=3.0", MAPPING),
        (NATIONAL, "application/json; charset=utf-8", CLOUDEVENTS),
        (COUNCIL, "application/hl7-v2", HL7V2),
        (COUNCIL, "application/cloudevents-batch+json", CLOUDEVENTS),
    ],
)
def test_the_media_type_and_the_source_say_which_translator(source: Source, media_type: str, expected: LineTranslator) -> None:
    assert REGISTRY.translator(source, media_type) is expected


@pytest.mark.parametrize("media_type", ["text/csv", "application/json", "image/png", "rubbish", "/"])
def test_what_a_hospital_without_a_mapping_sends_as_a_table_is_unsupported(media_type: str) -> None:
    with pytest.raises(Unsupported):
        REGISTRY.translator(HOSPITAL, media_type)


@pytest.mark.parametrize(
    ("source", "media_type", "says", "cure"),
    [
        (COUNCIL, "multipart/form-data; boundary=x", "no translator reads the media type it was sent as", "text/csv"),
        (HOSPITAL, "text/csv", "northfield-pas reads no text/csv", "Send it as application/hl7-v2, "),
        (AMBULANCE, "application/fhir+xml", "no translator reads XML", "Send it as application/json, application/fhir+json, "),
        (AMBULANCE, "text/xml", "no translator reads XML", "Send it as application/json, application/fhir+json, "),
        (NATIONAL, "image/png", "no translator reads the media type", "application/cloudevents+json"),
    ],
)
def test_who_sends_what_is_not_read_is_told_what_is(source: Source, media_type: str, says: str, cure: str) -> None:
    with pytest.raises(Unsupported) as caught:
        REGISTRY.translator(source, media_type)
    assert says in caught.value.message
    assert cure in caught.value.cure
    assert "or without a media type" in caught.value.cure
    assert str(caught.value) == f"{caught.value.message}. {caught.value.cure}", "it reads as two sentences"


def test_another_version_of_fhir_is_not_read_as_r4() -> None:
    with pytest.raises(Unsupported, match=r"version of FHIR.*fhirVersion=4\.0"):
        REGISTRY.translator(AMBULANCE, 'Application/FHIR+JSON; charset=utf-8; fhirVersion="3.0"')


def test_a_source_nobody_wired_reads_nothing_of_its_own() -> None:
    stranger = Source(id="stranger", name="Stranger", sector=Sector.VOLUNTARY)
    with pytest.raises(Unsupported):
        REGISTRY.translator(stranger, "")


def test_the_message_names_no_media_type_it_does_not_know() -> None:
    with pytest.raises(Unsupported) as caught:
        REGISTRY.translator(HOSPITAL, "canary/9990000018")
    assert "9990000018" not in str(caught.value)


def test_media_types_are_written_as_they_are_compared() -> None:
    assert all(media_type == media_type.lower().strip() and ";" not in media_type for media_type in FORMATS)
