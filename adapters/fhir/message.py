"""Interprets message Bundles: the event type that follows from the event of the MessageHeader and the resources.

BaRS, the Booking and Referral Standard, has four events. What each means depends on its reason and on the status of the
resources it carries. Other senders can name an event type of the catalogue directly, under the system `EVENT_SYSTEM`.

Source: FHIR R4 messaging §2.4; BaRS 1.4, message-events-bars, message-reason-bars, applications 1 to 5.
"""

from __future__ import annotations

from typing import NamedTuple

from adapters.fhir.entries import BundleEntries, BundleEntry
from adapters.fhir.made import Build, answer, as_received, visit
from adapters.fhir.rules import fact
from adapters.fhir.state import StatedFact
from schemas.catalogue import CATALOGUE, EventType
from schemas.errors import InvalidValue, Unsupported
from schemas.fhir.bundle import Resource

EVENT_SYSTEM = "urn:care-backbone:event"
"""System of events that name a type of the catalogue in ``eventCoding``. In ``eventUri`` the type follows it after a ``:``."""
_BARS_SYSTEMS = ("/codesystem/message-events-bars", "/codesystem/message-event-servicerequest")
"""Suffixes, in lower case, of the systems of BaRS events: the current one, and that of older examples still sent."""
ANY: frozenset[str] = frozenset()


class Meaning(NamedTuple):
    """One row: a message with this event, reason and status makes an event of this type."""

    event: str
    decides: str
    """Resource type whose status decides."""
    statuses: frozenset[str]
    """Its statuses; `ANY`: any status."""
    reasons: frozenset[str]
    """Codes of ``MessageHeader.reason``; `ANY`: any reason."""
    makes: EventType
    about: str
    """Resource type that the statement is about."""
    build: Build = as_received


def _row(
    event: str, decides: str, statuses: str, reasons: str, makes: str, about: str = "", build: Build = as_received
) -> Meaning:
    return Meaning(
        event, decides, frozenset(statuses.split()), frozenset(reasons.split()), CATALOGUE[makes], about or decides, build
    )


_REQUEST, _RESPONSE = "servicerequest-request", "servicerequest-response"
_BOOKINGS = ("booking-request", "booking-response")

MEANINGS: tuple[Meaning, ...] = (
    _row(_REQUEST, "ServiceRequest", "revoked entered-in-error", "", "referral-cancelled-1"),
    _row(_REQUEST, "ServiceRequest", "", "delete", "referral-cancelled-1"),
    _row(_REQUEST, "ServiceRequest", "active on-hold", "update", "referral-changed-1"),
    _row(_REQUEST, "ServiceRequest", "active", "", "referral-requested-1"),
    _row(_RESPONSE, "Task", "accepted ready in-progress", "", "referral-accepted-1"),
    _row(_RESPONSE, "Task", "rejected failed cancelled", "", "referral-declined-1"),
    _row(_RESPONSE, "Task", "completed", "", "referral-completed-1"),
    *(
        _row(_RESPONSE, decides, statuses, "", makes, "ServiceRequest", answer(status))
        for decides, statuses, makes, status in (
            ("Encounter", "planned arrived triaged in-progress onleave", "referral-accepted-1", "accepted"),
            ("Encounter", "cancelled entered-in-error", "referral-declined-1", "rejected"),
            ("Encounter", "finished", "referral-completed-1", "completed"),
            ("ServiceRequest", "active on-hold", "referral-accepted-1", "accepted"),
            ("ServiceRequest", "revoked entered-in-error", "referral-declined-1", "rejected"),
            ("ServiceRequest", "completed", "referral-completed-1", "completed"),
        )
    ),
    *(
        _row(booking, "Appointment", statuses, reasons, makes, build=visit)
        for booking in _BOOKINGS
        for statuses, reasons, makes in (
            ("cancelled entered-in-error", "", "encounter-cancelled-1"),
            ("", "delete", "encounter-cancelled-1"),
            ("noshow", "", "contact-missed-1"),
            ("arrived checked-in fulfilled", "", "encounter-attended-1"),
            ("proposed pending booked waitlist", "", "encounter-planned-1"),
        )
    ),
)
"""Tried in this order; the first match counts."""


def said_by_message(entries: BundleEntries) -> StatedFact:
    """What the message states.

    Raises `Unsupported` when its event, or the status of its resources, is not supported; `InvalidValue` when it has no header.
    """
    header = _header(entries)
    outcome = header.resource.get("response", {}).get("code", "ok")
    if outcome != "ok":
        raise Unsupported("the message says that an earlier one could not be processed", where="MessageHeader.response.code")
    system, code = _event(header.resource)
    if system == EVENT_SYSTEM and code in CATALOGUE:
        return _named(CATALOGUE[code], header, entries)
    if not system.lower().endswith(_BARS_SYSTEMS) or not any(row.event == code for row in MEANINGS):
        cure = f"Send an event of BaRS, or as eventCoding one of GET /catalogue, its system {EVENT_SYSTEM}."
        raise Unsupported("this message event is not supported", where="MessageHeader.event[x]", cure=cure)
    return _meant(code, header, entries)


def _header(entries: BundleEntries) -> BundleEntry:
    """ "The first entry is the MessageHeader." Source: FHIR R4 Bundle, bdl-12."""
    if not entries.all or entries.all[0].type != "MessageHeader":
        raise InvalidValue("the first entry of a message must be its MessageHeader", where="Bundle.entry[0].resource")
    return entries.all[0]


def _event(header: Resource) -> tuple[str, str]:
    """System and code of the event, from ``eventCoding`` or ``eventUri``."""
    if "eventCoding" in header:
        return header["eventCoding"].get("system", ""), header["eventCoding"].get("code", "")
    uri = header.get("eventUri", "")
    system, _, code = uri.rpartition("#" if "#" in uri else ":")
    return system, code


def _named(row: EventType, header: BundleEntry, entries: BundleEntries) -> StatedFact:
    """What a message states that names an event type of the catalogue: its focus is the header's first focus."""
    found = next(iter(_carried(header, entries)), None)
    if found is None or row.focus not in (found.type, "Resource"):
        raise InvalidValue(f"the focus of this event is of type {row.focus}", where="MessageHeader.focus")
    return StatedFact(found, row, fact(row))


def _meant(event: str, header: BundleEntry, entries: BundleEntries) -> StatedFact:
    carried = _carried(header, entries)
    reasons = {coding.get("code") for coding in header.resource.get("reason", {}).get("coding", ())}
    for row in MEANINGS:
        if row.event == event and (not row.reasons or row.reasons & reasons) and _decided(row, carried):
            found = next((one for one in carried if one.type == row.about), None)
            if found is not None:
                return StatedFact(found, row.makes, fact(row.makes), row.build)
    raise Unsupported("no resource in this message has a status that makes an event", where="MessageHeader.focus")


def _carried(header: BundleEntry, entries: BundleEntries) -> list[BundleEntry]:
    """The entries that are the header's focus, then all others."""
    pointed = [entries.find(reference) for reference in header.resource.get("focus", ())]
    first = [one for one in pointed if one is not None]
    return first + [one for one in entries.all if one is not header and one not in first]


def _decided(row: Meaning, carried: list[BundleEntry]) -> bool:
    """Whether the first carried resource of the deciding type has one of the row's statuses."""
    found = next((one for one in carried if one.type == row.decides), None)
    return found is not None and (not row.statuses or found.resource.get("status") in row.statuses)
