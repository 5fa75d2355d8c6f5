"""The FHIR facade over HTTP: one Patient a person, everything known of them, and only what is stated is served."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from fhir.resources.R4B.bundle import Bundle
from fhir.resources.R4B.capabilitystatement import CapabilityStatement
from fhir.resources.R4B.operationoutcome import OperationOutcome
from fhir.resources.R4B.patient import Patient

from schemas.fhir.check import faults_in
from tests.gateway.http_rig import DOROTHY, MARGARET, NHS_NUMBER, Rig, rigged
from tests.gateway.test_http_people import VISITS

NOBODY = "0" * 32
FORM = {"content-type": "application/x-www-form-urlencoded"}
REFERENCE = {
    "Bundle": Bundle,
    "Patient": Patient,
    "OperationOutcome": OperationOutcome,
    "CapabilityStatement": CapabilityStatement,
}


@pytest_asyncio.fixture
async def rig(tmp_path: Path) -> AsyncIterator[Rig]:
    async with rigged(tmp_path) as made:
        await made.samples()
        made.now += timedelta(hours=1)
        await made.client.post("/intake/willow-contacts", content=VISITS, headers={"content-type": "text/csv"})
        await made.settle()
        yield made


async def fhir(rig: Rig, path: str, status: int = 200, **request: Any) -> dict[str, Any]:
    """The resource answered, which the reference implementation holds to be FHIR."""
    answer = await rig.client.request("POST" if request else "GET", path, **request)
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/fhir+json"
    resource: dict[str, Any] = answer.json()
    REFERENCE[resource["resourceType"]].model_validate(resource)
    if resource["resourceType"] != "CapabilityStatement":
        assert faults_in(resource) == []
    return resource


def types(bundle: dict[str, Any]) -> list[str]:
    return [entry["resource"]["resourceType"] for entry in bundle.get("entry", ())]


def link(bundle: dict[str, Any], relation: str) -> str:
    return next((one["url"] for one in bundle["link"] if one["relation"] == relation), "")


@pytest.mark.asyncio
async def test_a_patient_has_what_every_record_says(rig: Rig) -> None:
    person = await rig.person()
    patient = await fhir(rig, f"/fhir/Patient/{person}")
    assert patient["id"] == person
    assert patient["identifier"][0]["value"] == MARGARET
    assert {one["value"] for one in patient["identifier"]} == {MARGARET, "NF204417", "W17"}
    assert patient["name"][0]["family"] == "Ellis-Whitmore"


@pytest.mark.asyncio
async def test_a_search_by_identifier_finds_one_patient(rig: Rig) -> None:
    found = await fhir(rig, "/fhir/Patient/_search", data={"identifier": f"{NHS_NUMBER}|{MARGARET}"})
    assert (found["total"], types(found)) == (1, ["Patient"])
    (entry,) = found["entry"]
    assert entry["fullUrl"] == f"http://127.0.0.1:8080/fhir/Patient/{await rig.person()}"
    assert MARGARET not in link(found, "self")


@pytest.mark.asyncio
async def test_a_search_for_somebody_unknown_is_an_empty_searchset(rig: Rig) -> None:
    found = await fhir(rig, "/fhir/Patient/_search", data={"identifier": f"{NHS_NUMBER}|{DOROTHY}"})
    assert (found["total"], types(found)) == (0, [])


@pytest.mark.parametrize(
    ("identifier", "code", "says"),
    [
        (f"{NHS_NUMBER}|9990000019", "invalid", "fails its own check"),
        (f"{NHS_NUMBER}|Canary", "invalid", "no NHS number"),
        ("urn:care-backbone:source:unheard-of|1", "not-found", "no source of that id"),
        ("mrn|Canary", "invalid", "no such system"),
    ],
)
@pytest.mark.asyncio
async def test_a_search_for_what_nobody_can_have_finds_nobody_and_hints_why(
    rig: Rig, identifier: str, code: str, says: str
) -> None:
    found = await fhir(rig, "/fhir/Patient/_search", data={"identifier": identifier})
    (hint,) = found["entry"]
    assert (found["total"], hint["search"], hint["resource"]["resourceType"]) == (0, {"mode": "outcome"}, "OperationOutcome")
    (issue,) = hint["resource"]["issue"]
    assert (issue["severity"], issue["code"], says in issue["details"]["text"]) == ("warning", code, True)
    assert "Canary" not in str(found)


@pytest.mark.asyncio
async def test_a_search_by_id_with_or_without_an_identifier_finds_the_one_both_are_about(rig: Rig) -> None:
    person, margaret = await rig.person(), f"{NHS_NUMBER}|{MARGARET}"
    for form, total, entries in (
        ({"_id": person}, 1, 1),
        ({"_id": person, "identifier": margaret}, 1, 1),
        ({"_id": "0" * 32}, 0, 0),
        ({"_id": person, "identifier": f"{NHS_NUMBER}|{DOROTHY}"}, 0, 0),
        ({"identifier": margaret, "_count": "10"}, 1, 1),
        ({"identifier": margaret, "_count": "0"}, 1, 0),
    ):
        found = await fhir(rig, "/fhir/Patient/_search", data=form)
        assert (found["total"], len(types(found))) == (total, entries), form


@pytest.mark.parametrize(
    "form",
    [
        "",
        "_count=1",
        "_id=x",
        "identifier=",
        f"identifier={MARGARET}",
        "identifier=|1",
        "name=Canary",
        "identifier=a|b&identifier=c|d",
    ],
)
@pytest.mark.asyncio
async def test_a_search_that_is_none_is_refused_and_never_repeated(rig: Rig, form: str) -> None:
    told = await fhir(rig, "/fhir/Patient/_search", 400, content=form, headers=FORM)
    assert MARGARET not in str(told)
    assert "Canary" not in str(told)


@pytest.mark.asyncio
async def test_a_patient_may_be_searched_for_by_id_in_a_url(rig: Rig) -> None:
    person = await rig.person()
    for query, total, entries in ((f"_id={person}", 1, 1), (f"_id={NOBODY}", 0, 0), (f"_id={person}&_count=0", 1, 0)):
        found = await fhir(rig, f"/fhir/Patient?{query}")
        assert (found["total"], len(types(found))) == (total, entries), query
        assert link(found, "self").endswith(f"/fhir/Patient?{query}")
    assert "/fhir/Patient/_search" in str(await fhir(rig, f"/fhir/Patient?_id={person}&identifier=x|{MARGARET}", 400))


@pytest.mark.parametrize("path", ["/fhir/Patient?identifier=x|9990000018", "/fhir/Patient", "/fhir/Patient?name=Canary"])
@pytest.mark.asyncio
async def test_identifiers_never_travel_in_a_url(rig: Rig, path: str) -> None:
    told = await fhir(rig, path, 400)
    assert "/fhir/Patient/_search" in told["issue"][0]["diagnostics"]
    assert MARGARET not in str(told)


@pytest.mark.asyncio
async def test_an_identifier_in_the_url_of_the_search_is_refused(rig: Rig) -> None:
    body = {"identifier": f"{NHS_NUMBER}|{MARGARET}"}
    await fhir(rig, f"/fhir/Patient/_search?identifier={NHS_NUMBER}|{MARGARET}", 400, data=body)


@pytest.mark.asyncio
async def test_everything_is_the_patient_and_the_payloads_about_them(rig: Rig) -> None:
    url = f"http://127.0.0.1:8080/fhir/Patient/{await rig.person()}"
    bundle = await fhir(rig, f"{url}/$everything")
    assert types(bundle)[0] == "Patient"
    assert types(bundle).count("Patient") == 1
    assert types(bundle).count("Encounter") >= 5
    assert all(
        entry["resource"]["subject"] == {"reference": url}
        for entry in bundle["entry"]
        if entry["resource"]["resourceType"] == "Encounter"
    )
    assert len({entry["fullUrl"] for entry in bundle["entry"]}) == len(bundle["entry"])
    assert link(bundle, "next") == ""


@pytest.mark.asyncio
async def test_next_links_lead_through_everything_once(rig: Rig) -> None:
    path = f"/fhir/Patient/{await rig.person()}/$everything"
    whole = [entry["fullUrl"] for entry in (await fhir(rig, path))["entry"]]
    found, url = [], f"{path}?_count=2"
    while url:
        bundle = await fhir(rig, url)
        found += [entry["fullUrl"] for entry in bundle.get("entry", ())]
        url = link(bundle, "next")
    assert found == whole


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("_type=Patient", {"Patient"}),
        ("_type=Encounter", {"Encounter"}),
        ("_type=Encounter,Patient", {"Encounter", "Patient"}),
        ("_type=Goal", set()),
        ("start=2030", {"Patient"}),
        ("end=2020", {"Patient"}),
        ("start=2026-02-12&end=2026-02-12&_type=Encounter", {"Encounter"}),
    ],
)
@pytest.mark.asyncio
async def test_everything_is_narrowed_by_type_and_time(rig: Rig, query: str, expected: set[str]) -> None:
    bundle = await fhir(rig, f"/fhir/Patient/{await rig.person()}/$everything?{query}")
    assert set(types(bundle)) == expected


@pytest.mark.asyncio
async def test_everything_may_be_asked_by_post_with_a_parameters_resource(rig: Rig) -> None:
    """As FHIR clients call an operation unless told otherwise; with no body at all, too."""
    path = f"/fhir/Patient/{await rig.person()}/$everything"
    whole = [entry["fullUrl"] for entry in (await fhir(rig, path))["entry"]]
    assert [entry["fullUrl"] for entry in (await fhir(rig, path, content=b"", headers={}))["entry"]] == whole
    asked = [{"name": "_count", "valueInteger": 2}, {"name": "end", "valueDate": "2026-12-31"}]
    bundle = await fhir(rig, path, json={"resourceType": "Parameters", "parameter": asked})
    found = [entry["fullUrl"] for entry in bundle["entry"]]
    assert link(bundle, "self").endswith("/$everything?_count=2&end=2026-12-31")
    while url := link(bundle, "next"):
        bundle = await fhir(rig, url)
        found += [entry["fullUrl"] for entry in bundle.get("entry", ())]
    assert found == whole


@pytest.mark.parametrize(
    ("content", "kind", "status"),
    [
        ("{", "application/fhir+json", 400),
        ('{"resourceType": "Patient"}', "application/fhir+json", 400),
        ('{"resourceType": "Parameters", "parameter": [{"name": "_count"}]}', "application/fhir+json", 400),
        ('{"resourceType": "Parameters", "parameter": [{"valueInteger": 1}]}', "application/json", 400),
        ('{"resourceType": "Parameters", "parameter": [{"name": "Canary", "valueString": "x"}]}', "application/json", 400),
        ('{"resourceType": "Parameters", "parameter": [{"name": "_count", "valueString": "Canary"}]}', "application/json", 400),
        ("_count=2", "application/x-www-form-urlencoded", 415),
    ],
)
@pytest.mark.asyncio
async def test_parameters_that_are_none_are_refused_and_never_repeated(rig: Rig, content: str, kind: str, status: int) -> None:
    path = f"/fhir/Patient/{await rig.person()}/$everything"
    assert "Canary" not in str(await fhir(rig, path, status, content=content, headers={"content-type": kind}))


@pytest.mark.parametrize(
    ("prefer", "status"),
    [("handling=lenient", 200), ('return=minimal; x, Handling="lenient"', 200), ("handling=strict", 400), ("lenient", 400)],
)
@pytest.mark.asyncio
async def test_unknown_parameters_are_ignored_only_for_who_would_rather_have_that(rig: Rig, prefer: str, status: int) -> None:
    person = await rig.person()
    headers = {"prefer": prefer}
    form = {"identifier": f"{NHS_NUMBER}|{MARGARET}", "name": "Canary"}
    await fhir(rig, "/fhir/Patient/_search", status, data=form, headers=headers)
    answer = await rig.client.get(f"/fhir/Patient/{person}/$everything?_type=Patient&_elements=Canary", headers=headers)
    assert answer.status_code == status
    assert "Canary" not in answer.text, "the own link says what counted"


@pytest.mark.asyncio
async def test_who_asks_for_more_than_a_page_may_hold_is_given_what_it_may(rig: Rig) -> None:
    path = f"/fhir/Patient/{await rig.person()}/$everything"
    for many in ("100000", "552902129589891"):
        assert (await fhir(rig, f"{path}?_count={many}"))["entry"] == (await fhir(rig, path))["entry"]


@pytest.mark.asyncio
async def test_since_is_when_the_backbone_learned_it(rig: Rig) -> None:
    path = f"/fhir/Patient/{await rig.person()}/$everything?_type=Encounter&_count=1"
    late = await fhir(rig, f"{path}&_since=2026-03-01T12:30:00Z")
    assert types(late) == ["Encounter"]
    found, url = 0, f"{path}&_since=2026-03-01T12:30:00Z"
    while url:
        bundle = await fhir(rig, url)
        found, url = found + len(types(bundle)), link(bundle, "next")
    assert found == 2, "the two visits, which came an hour later"


@pytest.mark.parametrize(
    ("path", "status"),
    [
        (f"/fhir/Patient/{NOBODY}", 404),
        ("/fhir/Patient/9990000018", 404),
        (f"/fhir/Patient/{NOBODY}/$everything", 404),
        (f"/fhir/Patient/{NOBODY}/$everything?_typ=Encounter", 400),
        (f"/fhir/Patient/{NOBODY}/$everything?_type=Canary", 400),
        (f"/fhir/Patient/{NOBODY}/$everything?_type=HumanName", 400),
        (f"/fhir/Patient/{NOBODY}/$everything?_count=0", 400),
        (f"/fhir/Patient/{NOBODY}/$everything?start=Canary", 400),
        (f"/fhir/Patient/{NOBODY}?_format=xml", 406),
        ("/fhir/metadata?_format=text/turtle", 406),
        ("/fhir/metadata?mode=terminology", 400),
    ],
)
@pytest.mark.asyncio
async def test_what_cannot_be_answered_is_an_operation_outcome(rig: Rig, path: str, status: int) -> None:
    told = await fhir(rig, path, status)
    assert told["resourceType"] == "OperationOutcome"
    assert "Canary" not in str(told)


ASKED = [
    ("application/fhir+json; fhirVersion=3.0", 406),
    ('application/fhir+json; charset=utf-8; fhirversion="5.0"', 406),
    ("application/fhir+json;fhirVersion=4.3", 406),
    ("application/fhir+xml, application/fhir+json; fhirVersion=1.0", 406),
    ("application/json;q=0", 406),
    ("application/fhir+json; fhirVersion=4.0", 200),
    ('application/fhir+json; fhirVersion="4.0.1"', 200),
    ("application/fhir+json; fhirVersion=3.0, application/fhir+json; fhirVersion=4.0; q=0.5", 200),
    ("application/fhir+json; fhirVersion=3.0, */*;q=0.1", 200),
    ("application/fhir+json", 200),
]


@pytest.mark.parametrize(("accept", "status"), ASKED)
@pytest.mark.asyncio
async def test_another_version_of_fhir_is_not_answered_with_r4(rig: Rig, accept: str, status: int) -> None:
    person = await rig.person()
    for path in ("metadata", f"Patient/{person}", f"Patient/{person}/$everything", f"Patient?_id={person}"):
        answer = await rig.client.get(f"/fhir/{path}", headers={"accept": accept})
        assert answer.status_code == status
        if "ersion" in accept and status == 406:
            assert "fhirVersion=4.0" in answer.json()["issue"][0]["diagnostics"]
    assert (await rig.client.get("/fhir/metadata", params={"_format": accept})).status_code == status


@pytest.mark.asyncio
async def test_a_body_in_another_version_of_fhir_is_not_read_as_r4(rig: Rig) -> None:
    kind = {"content-type": "application/fhir+json; fhirVersion=3.0"}
    body = '{"resourceType": "Parameters"}'
    told = await fhir(rig, f"/fhir/Patient/{await rig.person()}/$everything", 415, content=body, headers=kind)
    assert "fhirVersion=4.0" in told["issue"][0]["diagnostics"]
    kept = await rig.client.post("/intake/riverside-bars", content=b"{}", headers=kind)
    assert (kept.status_code, kept.json()["code"], "R4" in kept.json()["detail"]) == (422, "unsupported", True)


@pytest.mark.asyncio
async def test_the_capability_statement_is_true(rig: Rig) -> None:
    """Every interaction, search parameter and operation that it states answers; nothing else under /fhir does."""
    stated = (await fhir(rig, "/fhir/metadata?_format=application/fhir+json"))["rest"][0]
    (patient,) = stated["resource"]
    person = await rig.person()
    document = (await rig.client.get("/openapi.json")).json()["paths"]
    served = {path for path in document if path.startswith("/fhir/")}
    assert {one["code"] for one in patient["interaction"]} == {"read", "search-type"}
    assert [one["name"] for one in patient["searchParam"]] == ["identifier", "_id"]
    assert {one["name"] for one in patient["operation"]} == {"everything"}
    assert {one["name"] for one in stated["operation"]} == {"process-message"}
    assert served == {
        *("/fhir/metadata", "/fhir/Patient", "/fhir/Patient/_search", "/fhir/Patient/{id}"),
        *("/fhir/Patient/{id}/$everything", "/fhir/$process-message"),
    }
    assert (await fhir(rig, f"/fhir/Patient/{person}/%24everything"))["resourceType"] == "Bundle"


@pytest.mark.asyncio
async def test_a_strange_host_header_is_not_repeated_in_links(rig: Rig) -> None:
    bundle = await fhir(rig, "/fhir/Patient/_search", data={"identifier": f"{NHS_NUMBER}|{DOROTHY}"}, headers={"host": 'x"><y'})
    assert link(bundle, "self") == "http://localhost/fhir/Patient/_search"
