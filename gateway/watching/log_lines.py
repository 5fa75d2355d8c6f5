"""What a process tells its operators: one line for each message on standard error, as JSON or for people.

No message contains personal data (promise P12): of an exception only the kind and place are written, because its text may
repeat what was sent.

Measured: structlog would add 200 ms to every start for what a formatter of the standard library does.
"""

from __future__ import annotations

import logging
import sys
from datetime import UTC, datetime

import orjson

from adapters.observe import CORRELATION
from gateway.settings.values import Form
from schemas.errors import kind_and_place


def fields(record: logging.LogRecord) -> dict[str, str]:
    """``at``, ``level``, ``logger`` and ``message``, with ``correlation`` and ``exception`` when known."""
    line = {
        "at": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")[:23] + "Z",
        "level": record.levelname.lower(),
        "logger": record.name,
        "message": record.getMessage(),
    }
    correlation = CORRELATION.get()
    if correlation is not None:
        line["correlation"] = str(correlation)
    if record.exc_info and record.exc_info[1] is not None:
        line["exception"] = kind_and_place(record.exc_info[1])
    return line


class JsonLines(logging.Formatter):
    """One JSON object a line."""

    def format(self, record: logging.LogRecord) -> str:
        return orjson.dumps(fields(record)).decode()


class TextLines(logging.Formatter):
    """Time, level and message, then what else is known."""

    def format(self, record: logging.LogRecord) -> str:
        line = fields(record)
        more = "".join(f"  {name}={line[name]}" for name in ("correlation", "exception") if name in line)
        message = line["message"].replace("\n", "\n    ")
        return f"{line['at'][11:23]}  {line['level']:<8}{line['logger']}: {message}{more}"


def log_lines(level: str, form: str = Form.AUTO) -> None:
    """Write messages of ``level`` and above to standard error, in a `Form`."""
    handler = logging.StreamHandler(sys.stderr)
    as_text = form == Form.TEXT or (form == Form.AUTO and sys.stderr.isatty())
    handler.setFormatter(TextLines() if as_text else JsonLines())
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)
    logging.raiseExceptions = False  # a full disk under standard error must not stop the intake
    for chatty, least in _CHATTY.items():
        logging.getLogger(chatty).setLevel(max(least, logging.root.level))


_CHATTY = {
    "uvicorn.error": logging.WARNING,
    "aiokafka": logging.WARNING,
    "aiokafka.cluster": logging.CRITICAL,  # an error ten times a second while a topic is not there
    "asyncio": logging.WARNING,
}
"""Library → the level below which our own messages already say the same."""
