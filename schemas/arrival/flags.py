"""What can be odd about something that is taken in all the same: the table of flags.

A receipt names each as ``code at position``, ``nhs-number-invalid at PID-3``, or by its code alone. A flag rejects nothing; it
says what a person should look at, and never what a field holds.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

FLAGS: Mapping[str, str] = MappingProxyType(
    {
        "charset-unknown": "MSH-18 names a character set that is not known; the message was read as what its bytes can be.",
        "charset-wrong": "The bytes are not of the character set that MSH-18 names; they were read as what they can be.",
        "code-unknown": "The field holds a code that its list does not have; it is kept as text.",
        "control-id-reused": "The sender used the id of an earlier message (MSH-10) for another one; both are taken in.",
        "death-contradicted": "The message says of a death both that it happened and that it did not; nothing is said of it.",
        "end-in-future": "A service or a role ends on a day that lies ahead: no event until a row says it after that day.",
        "end-missing": "The last segment has no end (CR): some senders leave it out; of any other, the message was cut short.",
        "event-id-reused": "The sender used the id of an earlier event for another one; they are versions of one fact.",
        "merged-into-itself": "The record that was merged away is the one it was merged into; nothing is joined.",
        "nhs-number-invalid": "What was sent as an NHS number fails its check; it is kept, and nobody is linked on it.",
        "nhs-numbers-differ": "The record has several NHS numbers; nobody is linked on any of them.",
        "not-production": "MSH-11 says that the message is for training or debugging.",
        "redriven": "It came from quarantine, not from its sender.",
        "segment-repeated": "There is a second segment of a kind that a message has once; what it says is not taken in.",
        "subject-not-read": "A withdrawal has a `subject`; what it withdraws is named by its id alone.",
        "time-in-future": "The time lies ahead of the arrival. A date of birth or death is left out, any other believed.",
        "time-in-missing-hour": "The time is of the hour that March skips; it was moved forward by it.",
        "time-invalid": "There is no such date or time; it is left out.",
        "time-of-arrival": "Nothing says when it happened; the time of arrival stands for it.",
        "times-contradict": "The stay ends before it begins; its end is left out.",
        "trigger-differs": "EVN-1 names another trigger than MSH-9, which holds.",
        "visit-number-missing": "The stay has no visit number; its record and its beginning name it.",
    }
)
"""Code to what it means."""
