"""What the FHIR facade can do, as a CapabilityStatement, which lists exactly what is served.

It is built of plain objects, and a test builds fhir.resources' model of it: importing the models here would take 0.26 s of the
processor (a server is ready after one second) and 27 MB (of 95).

Source: FHIR R4 CapabilityStatement; RESTful API §3.1.0.8 (capabilities).
"""

from __future__ import annotations

from importlib.metadata import version

from schemas.fhir.bundle import Resource

SINCE = "2026-01-01"
"""The day on which this statement last changed."""
_VERSION = version("care-backbone")
_EVERYTHING = "http://hl7.org/fhir/OperationDefinition/Patient-everything"
_PROCESS_MESSAGE = "http://hl7.org/fhir/OperationDefinition/MessageHeader-process-message"


def capability_statement(base: str) -> Resource:
    """The statement of the facade at ``base``, a URL without a trailing slash."""
    return {
        "resourceType": "CapabilityStatement",
        "status": "active",
        "date": SINCE,
        "kind": "instance",
        "software": {"name": "Care Backbone", "version": _VERSION},
        "implementation": {"description": "One person's records from many systems, read as FHIR", "url": base},
        "fhirVersion": "4.0.1",
        "format": ["application/fhir+json", "json"],
        "rest": [
            {
                "mode": "server",
                "documentation": "Read only; messages go in through $process-message. Identifiers never travel in a URL.",
                "resource": [_PATIENT],
                "operation": [{"name": "process-message", "definition": _PROCESS_MESSAGE}],
            }
        ],
    }


_PATIENT = {
    "type": "Patient",
    "documentation": "One Patient for each person: the union of what their records say.",
    "interaction": [
        {"code": "read"},
        {"code": "search-type", "documentation": "By POST to Patient/_search; by GET only with _id."},
    ],
    "versioning": "no-version",
    "searchParam": [
        {
            "name": "identifier",
            "type": "token",
            "documentation": "system|value, of an NHS number or of a source's own identifier",
        },
        {"name": "_id", "type": "token", "documentation": "The Patient's id here"},
    ],
    "operation": [
        {
            "name": "everything",
            "definition": _EVERYTHING,
            "documentation": "By GET or POST, with start, end, _since, _type, _count; pages by their next link.",
        }
    ],
}
