"""The table of ADT triggers: which event each one makes.

A *fact* is what happened, identified by its visit (or person) and the kind of movement; a message states a version of it or
withdraws it. A cancellation has the key of the fact it cancels, so that the projection withdraws exactly that one.

Transfers and leaves of absence can happen several times in a visit, so their keys include the time. EVN-6 of a cancellation is
the time of the movement that it cancels (HL7 v2.4 §3.3.1.6), so both have the same key. If a sender writes another time there,
or none, the cancellation names a fact that nobody stated. It is translated all the same: its Encounter says what kind of
movement was cancelled (`schemas.sentence.MOVEMENT`) and in which visit (``correlationid``), so that a projection can withdraw
the visit's newest movement of that kind that happened before the cancellation was recorded. It may withdraw nothing else.

Decisions that the standard and the catalogue leave open:

* A01 and A04 of one visit state the same fact if PV1-2 says that the person arrived in the same way, because A11 cancels
  either of them and does not say which.
* A05 (pre-admitted) and A14 (pending admission) are two plans: A38 cancels the first, A27 the second.
* A15 (pending transfer) is a planned stay on the ward of PV1-42; a visit has one such plan at a time, so A26 needs no time.
* A21 and A22 (leave of absence and return) are versions of the stay (``encounter-changed-1``) under facts of their own.

Source: HL7 v2.4 chapter 3; HSCIC ITK HL7 V2 Message Specifications 1.0.15.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple

from schemas.catalogue import CATALOGUE, EventType


class Fact(NamedTuple):
    """A kind of thing that happens."""

    name: str
    """Part of the natural key, so it must never change."""
    words: str = ""
    """What people call it. It must not change: `consumers.timeline.versions.stray` recognises movements by it."""
    repeats: bool = False
    """It can happen several times in a visit, so its time is part of its key."""
    snapshot: bool = False
    """Its versions are ordered by when they were true (EVN-6), not by when they were recorded (EVN-2)."""


ADMITTED = Fact("admitted", "admission")
ATTENDED = Fact("attended", "visit")
TRANSFERRED = Fact("transferred", "move", repeats=True)
DISCHARGED = Fact("discharged", "discharge")
PLANNED = Fact("planned", "planned stay")
ADMISSION_PENDING = Fact("admission-pending", "planned stay")
TRANSFER_PENDING = Fact("transfer-pending", "planned move")
DISCHARGE_PLANNED = Fact("discharge-planned", "planned discharge")
LEFT = Fact("left", "leave of absence", repeats=True)
RETURNED = Fact("returned", "return from leave", repeats=True)
CHANGED = Fact("changed", snapshot=True)
REGISTERED = Fact("registered", snapshot=True)
PERSON_CHANGED = Fact("person-changed", snapshot=True)
DIED = Fact("died")
MERGED = Fact("merged")

WITHOUT_STAY = frozenset({"O", "E", "R"})
"""PV1-2 of a visit without a stay: outpatient, emergency, recurring. Its arrival is `ATTENDED`, any other's is `ADMITTED`."""


class Trigger(NamedTuple):
    """One trigger."""

    makes: EventType
    fact: Fact
    status: str = ""
    """Status of the Encounter; ``""``: as follows from PV1."""
    own_time: str = ""
    """The field of PV1 that says when it happened, if EVN-6 does not."""
    arrival: bool = False
    """The fact is `ATTENDED` or `ADMITTED`, as the visit's class says."""
    states_plan: bool = True
    """A discharge plan in the message (PV2-9, ZU1) is one: not in a message that cancels the plan or the whole stay."""
    begins: bool = False
    """It begins the visit, so there is no earlier plan that "not medically fit" could withdraw."""
    ends: bool = False
    """PV1-36 and PV1-37 say how the stay ended, so they may state a death."""
    corrects_death: bool = False
    """"Not dead" withdraws a death that was stated before; in other triggers it is a default value that means nothing."""


def _makes(name: str, fact: Fact, status: str = "", own_time: str = "", **more: bool) -> Trigger:
    return Trigger(CATALOGUE[name], fact, status, own_time, **more)


def _cancels(fact: Fact, status: str, own_time: str = "", **more: bool) -> Trigger:
    return Trigger(CATALOGUE["encounter-cancelled-1"], fact, status, own_time, **more)


_STAY = "in-progress"

TRIGGERS: Mapping[str, Trigger] = MappingProxyType(
    {
        "A01": _makes("encounter-admitted-1", ADMITTED, _STAY, "PV1-44", arrival=True, begins=True),
        "A02": _makes("encounter-transferred-1", TRANSFERRED, _STAY),
        "A03": _makes("encounter-discharged-1", DISCHARGED, "finished", "PV1-45", ends=True),
        "A04": _makes("encounter-attended-1", ATTENDED, _STAY, "PV1-44", arrival=True, begins=True),
        "A05": _makes("encounter-planned-1", PLANNED, "planned", begins=True),
        "A08": _makes("encounter-changed-1", CHANGED, ends=True),
        "A11": _cancels(ADMITTED, "cancelled", "PV1-44", arrival=True, states_plan=False),
        "A12": _cancels(TRANSFERRED, _STAY),
        "A13": _cancels(DISCHARGED, _STAY, "PV1-45", corrects_death=True),
        "A14": _makes("encounter-planned-1", ADMISSION_PENDING, "planned", begins=True),
        "A15": _makes("encounter-planned-1", TRANSFER_PENDING, "planned"),
        "A16": _makes("encounter-discharge-planned-1", DISCHARGE_PLANNED, _STAY),
        "A21": _makes("encounter-changed-1", LEFT, "onleave"),
        "A22": _makes("encounter-changed-1", RETURNED, _STAY),
        "A25": _cancels(DISCHARGE_PLANNED, _STAY, states_plan=False),
        "A26": _cancels(TRANSFER_PENDING, _STAY),
        "A27": _cancels(ADMISSION_PENDING, "cancelled", states_plan=False),
        "A28": _makes("person-registered-1", REGISTERED, begins=True),
        "A31": _makes("person-changed-1", PERSON_CHANGED, corrects_death=True),
        "A34": _makes("records-merged-1", MERGED),
        "A35": _makes("records-merged-1", MERGED),
        "A38": _cancels(PLANNED, "cancelled", states_plan=False),
        "A40": _makes("records-merged-1", MERGED),
        "A52": _cancels(LEFT, _STAY),
        "A53": _cancels(RETURNED, "onleave"),
    }
)
"""All triggers of the ITK's ADT messages, and two older merges that are still sent (A34, A35)."""

WITHOUT_VISIT = TRIGGERS["A31"]
"""The row for an A08 without a visit: a change of the person."""

ATTENDANCE: Mapping[str, EventType] = MappingProxyType(
    {
        "2": CATALOGUE["encounter-cancelled-1"],
        "3": CATALOGUE["contact-missed-1"],
        "4": CATALOGUE["encounter-cancelled-1"],
        "7": CATALOGUE["contact-missed-1"],
    }
)
"""ZU3-3 of an attendance (A04) that did not take place: cancelled in advance by either side, did not attend, or came too late
to be seen. Source: NHS Data Dictionary, ATTENDED OR DID NOT ATTEND CODE."""
