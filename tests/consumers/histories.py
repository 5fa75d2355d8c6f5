"""A history with everything in it that makes a projection's life hard, told by three sources about two people."""

from __future__ import annotations

from schemas.event import Event, Precision, Sensitivity
from tests.consumers.build import ANN, BOB, CHARITY, COUNCIL, HOSPITAL, at, merged, patient, said, stay

MOVED = {"url": "urn:care-backbone:extension:movement", "valueString": "move"}
AWAY = {"url": "urn:care-backbone:extension:movement", "valueString": "leave of absence"}


def _at(recorded: float, happened: float) -> str:
    """The sequence of a movement as HL7 v2 gives it; of a snapshot with its times the other way round."""
    return f"{at(recorded)}/{at(happened)}"


def hospital() -> list[Event]:
    """A stay with a move that is cancelled, a stray cancellation, a leave, snapshots that repeat and one that does not."""
    who = patient(HOSPITAL, "A1", ANN, name=[{"family": "Okafor", "given": ["Ann"]}], birthDate="1940-01-01")
    moved = who | {"address": [{"line": ["2 Elm Street"], "postalCode": "NF2 2BB"}]}
    here, there = stay("Kingsmill Ward", period={"start": at(0)}), stay("Rowan Ward", period={"start": at(0)})
    visit = {"local_id": "A1", "thread": "visit-1"}
    return [
        said("encounter-admitted-1", "v1 admitted", 0, focus=here, who=who, sequence=_at(4, 0), **visit),
        said("encounter-changed-1", "v1 changed", 4, focus=here, who=who, sequence=_at(4, 4), **visit),
        said("encounter-changed-1", "v1 changed", 0, focus=here, who=who, sequence=_at(0, 4), nonce="same times", **visit),
        said("encounter-transferred-1", "v1 moved 20", 20, focus=there, who=who, sequence=_at(50, 20), **visit),
        said("encounter-changed-1", "v1 changed", 30, focus=here, who=who, sequence=_at(30, 31), **visit),
        said("encounter-changed-1", "v1 changed", 60, focus=there, who=who, sequence=_at(60, 60), **visit),
        said("encounter-transferred-1", "v1 moved 70", 70, focus=here, who=who, sequence=_at(71, 70), **visit),
        said(
            "encounter-cancelled-1",
            "v1 moved 75",
            75,
            focus=here | {"extension": [MOVED]},
            who=who,
            sequence=_at(80, 75),
            **visit,
        ),
        said("encounter-transferred-1", "v1 moved 90", 90, focus=there, who=who, sequence=_at(91, 90), **visit),
        said(
            "encounter-cancelled-1",
            "v1 moved 90",
            90,
            focus=there | {"extension": [MOVED]},
            who=who,
            sequence=_at(95, 90),
            **visit,
        ),
        said(
            "encounter-changed-1",
            "v1 left 100",
            100,
            focus=there | {"status": "onleave", "extension": [AWAY]},
            who=who,
            sequence=_at(100, 100),
            **visit,
        ),
        said("encounter-changed-1", "v1 changed", 110, focus=there, who=moved, sequence=_at(110, 110), **visit),
        said("person-changed-1", "p changed", 110, who=moved, sequence=_at(110, 110), local_id="A1"),
        said("person-changed-1", "p changed", 115, who=moved, sequence=_at(115, 115), local_id="A1"),
        said("person-changed-1", "p changed", 3, who=who, sequence=_at(3, 112), local_id="A1"),
        said("encounter-discharged-1", "v1 discharged", 120, focus=there, who=moved, sequence=_at(121, 120), **visit),
        said(
            "encounter-discharged-1",
            "v1 discharged",
            120,
            focus=there | {"hospitalization": {"dischargeDisposition": {"text": "own home"}}},
            who=moved,
            sequence=_at(125, 120),
            **visit,
        ),
        said("encounter-admitted-1", "v2 admitted", 300, focus=here, who=moved, local_id="A1", thread="visit-2"),
        said("encounter-cancelled-1", "v2 admitted", 310, focus=here, who=moved, local_id="A1", thread="visit-2"),
        said("encounter-cancelled-1", "v3 admitted", 330, focus=here, who=moved, local_id="A1", thread="visit-3"),
        said("encounter-changed-1", "v4 changed", 340, focus=here, who=moved, local_id="A1"),
        said("encounter-changed-1", "v4 changed", 345, focus=here, who=moved, local_id="A1"),
        said("person-died-1", "a death", 400, who=moved | {"deceasedBoolean": True}, local_id="A1"),
        said("person-died-1", "a death", 410, who=moved | {"deceasedBoolean": True}, local_id="A1"),
        said("entry-withdrawn-1", "a death", 420, who=moved | {"deceasedBoolean": False}, local_id="A1"),
    ]


def merges() -> list[Event]:
    """Records that replace one another, in a chain and in a circle; one of them never says anything itself."""
    return [
        said("person-registered-1", "b1", 0, local_id="B1"),
        said("person-registered-1", "b2", 1, local_id="B2", number=BOB),
        merged(10, "B2", "B1"),
        merged(12, "B3", "B2"),
        merged(13, "B2", "B3"),
        said("encounter-attended-1", "b visit", 5, local_id="B1", focus=stay()),
        said("encounter-attended-1", "b visit", 6, local_id="B2", focus=stay("Elm Ward"), sequence="later"),
        merged(20, "C1", "C0"),
        merged(21, "C2", "C1"),
        said("person-changed-1", "c2", 30, local_id="C2", number=ANN),
        merged(25, "D1", "D0"),
        said("person-changed-1", "d0", 26, local_id="D0", number=BOB),
        merged(40, "E1", "E0", fact="a merge by mistake"),
        said("entry-withdrawn-1", "a merge by mistake", 41, local_id="E1"),
        said("person-changed-1", "e0", 42, local_id="E0", number=ANN),
    ]


def others() -> list[Event]:
    """A council that learns the NHS number late and has it corrected; a charity that has none and one row out of order."""
    service = {"resourceType": "EpisodeOfCare", "status": "active", "type": [{"text": "Meals"}]}
    row = {"source": COUNCIL, "local_id": "1001"}
    visit = stay(type=[{"text": "Home visit"}])
    return [
        said("service-started-1", "meals", 50, focus=service, precision=Precision.DAY, sequence="2026-03-31", **row),
        said("service-started-1", "meals", 50, focus=service, number=BOB, sequence="2026-06-30", **row),
        said(
            "service-ended-1", "meals end", 60, focus=service | {"status": "finished"}, number=ANN, sequence="2026-09-30", **row
        ),
        said("service-started-1", "care", 55, focus=service, sequence="2026-08-31", **row),
        said("contact-made-1", "c1", 200, source=CHARITY, local_id="W7", focus=visit, sensitivity=Sensitivity.RESTRICTED),
        said("contact-made-1", "c0", 100, source=CHARITY, local_id="W7", focus=visit),
        said("contact-missed-1", "c2", 210, source=CHARITY, local_id="W7", number=ANN, focus=visit),
    ]


def everything() -> list[Event]:
    """The whole history, each source's events in the order it sent them."""
    return [*hospital(), *merges(), *others()]
