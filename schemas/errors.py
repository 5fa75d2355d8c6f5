"""Every error the backbone raises on purpose.

::

    BackboneError                    code, message, cure; never personal data
    ├── RejectedInput                the content can never succeed as it is: kept in quarantine
    │   ├── Unreadable               not the format it claims to be, or broken
    │   ├── Unsupported              readable, but of a kind no translator knows
    │   ├── MissingIdentifier        nothing says whose record it is
    │   ├── InvalidValue             one field holds what it may not
    │   ├── TooLarge                 over a stated limit
    │   ├── UnknownSender            no declared source sends under this name
    │   ├── WrongCertificate         the sender's certificate is not that of the source it names
    │   └── TranslatorFailed         a fault of the backbone's own translator
    ├── UnknownSource                no source of that id is declared in the settings
    ├── SettingsError                a setting is missing, unknown or contradictory; names file, line and key
    │   ├── OtherLogError            not the log that was used so far
    │   ├── OtherSecretError         the log was written with another key secret
    │   └── MappingError             a mapping file has a fault; names file, line and what to write instead
    ├── EngineUnavailable            the log, the store or the ledger does not answer: try again later
    │   ├── LogUnavailable
    │   │   ├── CorruptLog           an entry differs from what was appended
    │   │   └── LogMismatch          not the log that was read so far, or it has lost what comes next
    │   ├── StoreUnavailable
    │   ├── LedgerUnavailable
    │   │   └── LedgerMismatch       not the ledger that was used so far, or it is gone
    │   └── ReceiverUnavailable      a system we send to
    ├── ConsumerStuck                a consumer reads nothing although records are waiting: the process ends
    ├── PositionLost                 another process has taken this partition over: roll back
    ├── NotFound                     nothing of that id is here
    └── InvalidRequest               a parameter of a request is not usable
        ├── DoorClosed               the source may not send through this door
        ├── WrongMediaType           the body is in no format this path reads
        │   └── WrongCoding          the body is compressed in a way that is not read
        ├── NotAcceptable            the answer cannot be had in the format asked for
        ├── TooSlow                  the body did not arrive in time
        └── Misdirected              the request is not meant for this server, or another site's page sent it

A class's ``cure`` says what the reader of the message can do. Messages name positions, fields and codes, never the content of
a field: a rejected row is to be read in quarantine, by those who may, and not in a log file (promise P12).
"""

from __future__ import annotations

import traceback


class BackboneError(Exception):
    """Something the backbone knows about went wrong."""

    code = "backbone-error"
    """What programs compare: stable, lower case, with hyphens."""
    cure = "See the documentation of this error code."

    def __init__(self, message: str = "", *, cure: str = "", where: str = "") -> None:
        super().__init__(message or (self.__doc__ or "").splitlines()[0])
        self.cure = cure or type(self).cure
        self.where = where
        """Position in the input or name of the setting, for example ``PID-7``, ``line 12, column "Date of Birth"``."""

    @property
    def message(self) -> str:
        return str(self.args[0])

    def __str__(self) -> str:
        place = f" at {self.where}" if self.where else ""
        return f"{self.message.rstrip('.')}{place}. {self.cure}"


class RejectedInput(BackboneError):
    """The content cannot be translated as it is."""

    code = "rejected"
    cure = "It is kept in quarantine: mend the mapping or the sending system, then redrive it."


class Unreadable(RejectedInput):
    """The content is not in the format it was sent as."""

    code = "unreadable"
    cure = "Check how the sending system writes this format, then send it again."


class Unsupported(RejectedInput):
    """The content is of a kind that no translator knows."""

    code = "unsupported"
    cure = "What a door took in is kept: redrive it once a translator for it is installed."


class MissingIdentifier(RejectedInput):
    """Nothing in the content says whose record it is."""

    code = "missing-identifier"
    cure = "Have the sending system include a local identifier or an NHS number."

    @classmethod
    def for_wrong_number(cls, where: str) -> MissingIdentifier:
        """What was sent as an NHS number cannot be one, and nothing else says whose record it is."""
        message = "the NHS number fails its own check, and there is no local identifier"
        cure = "Its last digit follows from the others: have the sending system correct it, or include a local identifier."
        return cls(message, where=where, cure=cure)


class InvalidValue(RejectedInput):
    """A field holds a value it may not hold."""

    code = "invalid-value"
    cure = "Correct the field in the sending system, or mend the mapping, then redrive it."


class TooLarge(RejectedInput):
    """The content is larger than the stated limit."""

    code = "too-large"
    cure = "Send it in smaller parts; nothing was cut off and taken in part."


class UnknownSender(RejectedInput):
    """No declared source sends under this name."""

    code = "unknown-sender"
    cure = "It is kept: give a [[source]] in backbone.toml a `match` for this MSH-3 and MSH-4, then redrive it as that source."


class WrongCertificate(RejectedInput):
    """The sender's certificate is not that of the source it names."""

    code = "wrong-certificate"
    cure = "It is kept: have the sender use its own certificate, or correct that of the [[source]], then redrive it."


class TranslatorFailed(RejectedInput):
    """The backbone's own translator failed on this content."""

    code = "translator-failed"
    cure = "It is kept: the fault is the backbone's, its log says where. Redrive it after an upgrade."


class UnknownSource(BackboneError):
    """No source of that id is declared."""

    code = "unknown-source"
    cure = "Declare it as a [[source]] in backbone.toml; `backbone source list` shows those that are."


class SettingsError(BackboneError):
    """A setting is missing, unknown or contradictory."""

    code = "settings"
    cure = "Correct it and start again."


class OtherLogError(SettingsError):
    """The log is not the one that was used so far."""

    code = "other-log"
    cure = "Correct BACKBONE_LOG or BACKBONE_STORE; an empty store is filled from whichever log it is given."


class OtherSecretError(SettingsError):
    """The log was written with another key secret: every record's key and every person's id would be another."""

    code = "other-secret"
    cure = (
        "Give this process the secret of the others, from their key-secret file or from the backup. On one log it cannot be "
        "changed: another secret needs a new log and an empty store, and everything sent once more."
    )


class MappingError(SettingsError):
    """A mapping file says what cannot be."""

    code = "mapping"
    cure = "Correct the mapping file; docs/mapping-files.md explains every key and function."


class EngineUnavailable(BackboneError):
    """An engine the backbone needs does not answer."""

    code = "engine-unavailable"
    cure = "Nothing was acknowledged; send it again. `backbone doctor` says what is wrong."


class LogUnavailable(EngineUnavailable):
    """The event log does not take or give entries."""

    code = "log-unavailable"


class CorruptLog(LogUnavailable):
    """An entry of the log is not as it was appended."""

    code = "log-corrupt"
    cure = "Stop what reads on, then restore the log from a backup; `backbone log verify` lists every broken entry."

    def __init__(self, message: str = "", *, cure: str = "", where: str = "", offset: int | None = None) -> None:
        super().__init__(message, cure=cure, where=where)
        self.offset = offset
        """Offset of the broken entry in its partition, when known: the entries after it may still be readable."""


REBUILD = "`backbone rebuild --all`"
"""The command that makes all that is read anew from the log, for a cure."""


class LogMismatch(LogUnavailable):
    """The log does not go on where this projection left off."""

    code = "log-mismatch"
    cure = (
        "Retention removed what comes next, or this is another log, or an older copy of it. "
        f"Bring the right log back, or make everything anew from this one: {REBUILD}."
    )


class StoreUnavailable(EngineUnavailable):
    """The store does not answer."""

    code = "store-unavailable"


class LedgerUnavailable(EngineUnavailable):
    """The ledger does not answer."""

    code = "ledger-unavailable"
    cure = "Nothing was promised and nothing disclosed; ask again. `backbone doctor` says what is wrong."


class LedgerMismatch(LedgerUnavailable):
    """This is not the ledger that was used so far."""

    code = "ledger-mismatch"
    cure = (
        "Correct BACKBONE_LEDGER, or restore the ledger from a backup (docs/operate.md): nothing else has what it holds. "
        "Only if it is lost for good, remove ledger-identity from the data folder: a new one is made then."
    )


class ReceiverUnavailable(EngineUnavailable):
    """The system this is sent to does not answer."""

    code = "receiver-unavailable"
    cure = "Check its address and that it is running, then send it again: what it had already taken is not taken twice."


class ConsumerStuck(BackboneError):
    """A consumer of the log reads nothing, although records lie before it."""

    code = "consumer-stuck"
    cure = "The process ends: its supervisor starts it again. If it happens often, report it with the client's version."


class PositionLost(BackboneError):
    """Another process now owns this partition of the log."""

    code = "position-lost"
    cure = "Nothing to do: the work is rolled back and done by the new owner."


class NotFound(BackboneError):
    """Nothing of that id is here."""

    code = "not-found"
    cure = "Check the id; what was sent a moment ago may need a moment to appear."


class InvalidRequest(BackboneError):
    """A parameter of the request cannot be used."""

    code = "invalid-request"
    cure = "Correct the named parameter and ask again."


class DoorClosed(InvalidRequest):
    """This source may not send through this door."""

    code = "door-closed"
    cure = "Add the door to `doors` of the [[source]] in backbone.toml, or send it the way that is listed there."


class WrongMediaType(InvalidRequest):
    """The body is in no format that this path reads."""

    code = "wrong-media-type"
    cure = "Send one of the media types that /openapi.json lists for this path, and name it in Content-Type."


class WrongCoding(WrongMediaType):
    """The body is compressed in a way that is not read."""

    code = "wrong-content-coding"
    cure = "Send it with Content-Encoding: gzip, or uncompressed."


class NotAcceptable(InvalidRequest):
    """The answer cannot be had in the format asked for."""

    code = "not-acceptable"
    cure = "Ask for JSON."


class TooSlow(InvalidRequest):
    """The body of the request did not arrive in time."""

    code = "too-slow"
    cure = "Nothing was taken in; send it again over a better connection, or in smaller parts."


class Misdirected(InvalidRequest):
    """The request is not meant for this server."""

    code = "misdirected"
    cure = "Ask for this server by the address it listens on, and not from a page of another site."


_FRAMES = 8
"""Innermost frames to name for an error nobody foresaw: enough to see through a framework to the line of ours."""


def place_raised(error: BaseException) -> str:
    """Where in the code ``error`` was raised, innermost first: module, line and function.

    All that is said about an error nobody foresaw: its message may quote what was sent, so it is left out (promise P12).
    """
    frames = list(traceback.walk_tb(error.__traceback__))[-_FRAMES:]
    return " < ".join(f"{at.f_globals.get('__name__', '?')}:{line} {at.f_code.co_name}" for at, line in reversed(frames))


def kind_and_place(error: BaseException) -> str:
    """The type of ``error`` and where it was raised, as `place_raised` has it; only the type where that is not known."""
    place = place_raised(error)
    return f"{type(error).__name__} at {place}" if place else type(error).__name__
