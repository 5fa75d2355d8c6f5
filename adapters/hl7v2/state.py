"""What one message states: the fact its trigger tells of, and what else its snapshot says — a discharge plan, a death.

Source: HL7 v2.4 chapter 3; HSCIC ITK HL7 V2 Message Specifications ("fully populated" messages).
"""

from __future__ import annotations

from adapters.compose import Statement
from adapters.hl7v2.allergies import allergies
from adapters.hl7v2.death import death, told_of_death
from adapters.hl7v2.memory import remembered
from adapters.hl7v2.merge import merges
from adapters.hl7v2.movement import movement
from adapters.hl7v2.plan import plan
from adapters.hl7v2.reading import Reading
from adapters.hl7v2.syntax import Syntax
from adapters.hl7v2.told import Told, told
from adapters.hl7v2.triggers import MERGED, TRIGGERS, WITHOUT_VISIT, Trigger
from schemas.errors import Unreadable, Unsupported

MESSAGE = "ADT"
_NO_PRODUCTION = ("T", "D")
"""MSH-11 (table 0103) of training and debugging: taken in, because test systems send it to test systems, and flagged."""

_ONCE = ("PID", "PV1")
"""Of a message that merges nothing there is one of each: what a second one says is not taken in, and it may be another's."""


def statements(reading: Reading) -> list[Statement]:
    """What the message states, its trigger's own fact first.

    Raises one of the `RejectedInput` family, naming the position and nothing of the content.
    """
    trigger = _trigger(reading)
    if trigger.fact is MERGED:
        return list(merges(trigger, reading))
    pid = reading.message.segment("PID")
    if not pid:
        raise Unreadable("the message has no PID segment: it was cut short or its segments are not ended by CR", where="PID")
    for name in _ONCE:
        if reading.message.repeats(name):
            reading.flag("segment-repeated", name)
    shared = told_of_death(trigger, told(trigger, pid, reading))
    row, own = _own(trigger, shared, reading)
    beside = allergies(shared.record, reading)
    return [own._replace(others=beside) if beside else own, *plan(row, shared, reading), *death(row, shared, reading)]


def _trigger(reading: Reading) -> Trigger:
    """Raises `Unsupported` when it is none that is known."""
    message = reading.message
    trigger, differs = _named(reading.syntax, message.segment("MSH").fields[9], message.segment("EVN").fields[1])
    if differs:
        reading.flag("trigger-differs", "EVN-1")
    if message.segment("MSH").text(11).upper() in _NO_PRODUCTION:
        reading.flag("not-production", "MSH-11")
    return trigger


@remembered(256)
def _named(syntax: Syntax, kind: str, event: str) -> tuple[Trigger, bool]:
    """What MSH-9 names, else EVN-1, where older versions have it; and whether the two differ.

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


def _own(trigger: Trigger, shared: Told, reading: Reading) -> tuple[Trigger, Statement]:
    """The trigger's own fact, and the row it is of: an A08 without a visit is a change of the person.

    Raises `Unreadable` when the trigger tells of a stay and the message has none.
    """
    stay = shared.visit
    if trigger.status and stay is None:
        raise Unreadable("a message with this trigger must have a PV1 segment", where="PV1")
    if trigger.makes.focus == "Encounter" and stay is not None and shared.stay:
        return trigger, movement(trigger, shared, stay, reading)
    row = trigger if trigger.makes.focus == "Patient" else WITHOUT_VISIT
    return row, shared.statement(row.makes, row.fact, shared.of_person(row.fact), shared.patient)
