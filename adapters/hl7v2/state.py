"""Derives the statements of one message: its trigger's own fact, and the discharge plan or death that it states besides.

Source: HL7 v2.4 chapter 3; HSCIC ITK HL7 V2 Message Specifications ("fully populated" messages).
"""

from __future__ import annotations

from adapters.compose import Statement
from adapters.hl7v2.content.reading import Reading
from adapters.hl7v2.content.shared import Shared, read_shared
from adapters.hl7v2.content.triggers import MERGED, TRIGGERS, WITHOUT_VISIT, Trigger
from adapters.hl7v2.statements.allergies import allergies
from adapters.hl7v2.statements.death import death, with_death
from adapters.hl7v2.statements.merge import merges
from adapters.hl7v2.statements.movement import movement
from adapters.hl7v2.statements.plan import plan
from adapters.hl7v2.text.memory import remembered
from adapters.hl7v2.text.syntax import Syntax
from schemas.errors import Unreadable, Unsupported

MESSAGE = "ADT"
_NOT_PRODUCTION = ("T", "D")
"""MSH-11 (table 0103) of training and debugging. Such messages are accepted, because test systems send them to test systems,
and flagged."""

_ONCE = ("PID", "PV1")
"""Segments that occur once unless the message merges records. A second one is not read, as it may be about somebody else."""


def statements(reading: Reading) -> list[Statement]:
    """The statements of the message, its trigger's own fact first.

    Raises a `RejectedInput`, naming the position but no content.
    """
    trigger = _trigger(reading)
    if trigger.fact is MERGED:
        return list(merges(trigger, reading))
    pid = reading.message.segment("PID")
    if not pid:
        raise Unreadable("the message has no PID segment: it was cut short, or its segments do not end with CR", where="PID")
    for name in _ONCE:
        if reading.message.repeats(name):
            reading.flag("segment-repeated", name)
    shared = with_death(trigger, read_shared(trigger, pid, reading))
    row, own = _own(trigger, shared, reading)
    beside = allergies(shared.record, reading)
    return [own._replace(others=beside) if beside else own, *plan(row, shared, reading), *death(row, shared, reading)]


def _trigger(reading: Reading) -> Trigger:
    """The trigger of the message. Raises `Unsupported` when there is no rule for it."""
    message = reading.message
    trigger, differs = _named(reading.syntax, message.segment("MSH").fields[9], message.segment("EVN").fields[1])
    if differs:
        reading.flag("trigger-differs", "EVN-1")
    if message.segment("MSH").text(11).upper() in _NOT_PRODUCTION:
        reading.flag("not-production", "MSH-11")
    return trigger


@remembered(256)
def _named(syntax: Syntax, kind: str, event: str) -> tuple[Trigger, bool]:
    """The trigger that MSH-9 names, else EVN-1, where older versions have it; and whether the two differ.

    Raises `Unsupported`.
    """
    parts = [syntax.text(part).upper() for part in syntax.components(kind.partition(syntax.repetition)[0])]
    if parts[0] != MESSAGE:
        raise Unsupported("only ADT messages are translated", where="MSH-9.1")
    stated = syntax.first(event).upper()
    code = parts[1] if len(parts) > 1 and parts[1] else stated
    if code not in TRIGGERS:
        raise Unsupported("there is no rule for this ADT trigger", where="MSH-9.2")
    return TRIGGERS[code], bool(stated) and stated != code


def _own(trigger: Trigger, shared: Shared, reading: Reading) -> tuple[Trigger, Statement]:
    """The statement of the trigger's own fact, and the row it follows: an A08 without a visit is a change of the person.

    Raises `Unreadable` when the trigger is about a stay and the message has no PV1.
    """
    stay = shared.visit
    if trigger.status and stay is None:
        raise Unreadable("a message with this trigger must have a PV1 segment", where="PV1")
    if trigger.makes.focus == "Encounter" and stay is not None and shared.stay:
        return trigger, movement(trigger, shared, stay, reading)
    row = trigger if trigger.makes.focus == "Patient" else WITHOUT_VISIT
    return row, shared.statement(row.makes, row.fact, shared.of_person(row.fact), shared.patient)
