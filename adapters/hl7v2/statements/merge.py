"""States that two records belong to one person: the surviving record, with a link to the one it replaces.

Source: HL7 v2.4 §3.3.10 (MRG), §3.2 A34, A35, A40; HSCIC ITK HL7 V2 (A40: MRG-1 has all identifiers of the record merged away).
"""

from __future__ import annotations

from collections.abc import Iterator

from adapters.compose import Statement
from adapters.hl7v2.content.identity import replaced
from adapters.hl7v2.content.reading import Reading
from adapters.hl7v2.content.shared import read_shared
from adapters.hl7v2.content.triggers import WITHOUT_VISIT, Trigger
from adapters.hl7v2.text.message import Segment
from schemas.errors import MissingIdentifier
from schemas.resources.person import merged_from


def merges(trigger: Trigger, reading: Reading) -> Iterator[Statement]:
    """One merge for each MRG, into the record of the PID before it.

    Raises `MissingIdentifier` when one of the two records has no identifier.
    """
    pid: Segment | None = None
    found = False
    for segment in reading.message.in_order("PID", "MRG"):
        if segment.fields[0] == "PID":
            pid = segment
        elif pid is not None:
            found = True
            yield _merge(trigger, pid, segment, reading)
    if not found:
        raise MissingIdentifier("nothing says which record was merged into this one", where="MRG-1")


def _merge(trigger: Trigger, pid: Segment, mrg: Segment, reading: Reading) -> Statement:
    """One merge. A record merged into itself is stated as a change of the person: an A35 joins two accounts of one person."""
    survivor = read_shared(trigger, pid, reading)
    old = replaced(mrg, pid, reading)
    if not old:
        raise MissingIdentifier("nothing says which record was merged into this one", where="MRG-1")
    own = survivor.patient["identifier"][0]
    if any(one["system"] == own["system"] and one["value"] == own["value"] for one in old):
        reading.flag("merged-into-itself", "MRG-1")
        row = WITHOUT_VISIT
        return survivor.statement(row.makes, row.fact, survivor.of_person(row.fact), survivor.patient)
    survivor = survivor._replace(patient={**survivor.patient, "link": [merged_from(one) for one in old]})
    key = (*survivor.of_person(trigger.fact), *sorted(str(one["value"]) for one in old))
    return survivor.statement(trigger.makes, trigger.fact, key, survivor.patient)
