"""Remembers in the data folder which log arrivals went to, so that no other log acknowledges senders by mistake.

A process that only takes in has no store to remember it. With the embedded default the log is in the data folder itself.

Source: KIP-78 (a cluster's id).
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from pathlib import Path

from gateway.composition.remembered import RememberedIdentity
from schemas.errors import NotFound, OtherLogError
from schemas.log import EventLog

LOGGER = logging.getLogger("backbone.gateway")

FILE_NAME = "log-identity"

Open = Callable[[bool], Awaitable[EventLog]]
"""Opens the log; the argument says whether missing topics may be made."""


async def open_known(data: Path, open_log: Open, *, create: bool) -> EventLog:
    """Open the log and return it, provided it is the one this data folder knows, or the folder knows none.

    A known log that is missing is not made anew. Raises `OtherLogError` and whatever ``open_log`` raises.
    """
    known = RememberedIdentity(data / FILE_NAME).known()
    try:
        log = await open_log(create and not known)
    except NotFound:
        if known:
            raise _other(data, known, "there is no log at this address") from None
        raise
    if known not in ("", log.identity):
        await log.close()
        raise _other(data, known, f"this log is {log.identity or 'one without identity'}")
    return log


def remember(data: Path, identity: str) -> None:
    """Note that arrivals go to the log of that name; a log without a name is not noted.

    A folder that cannot be written to, as in some containers, is no reason to refuse arrivals.
    """
    try:
        RememberedIdentity(data / FILE_NAME).note(identity)
    except OSError as error:
        message = "%s cannot be written (%s): say cluster= in BACKBONE_LOG, so that another cluster is refused"
        LOGGER.warning(message, data / FILE_NAME, error.strerror)


def _other(data: Path, known: str, found: str) -> OtherLogError:
    cure = f"Correct BACKBONE_LOG. If the log was really replaced, remove {data / FILE_NAME}."
    return OtherLogError(f"what was taken in here went to {known}, {found}", where="BACKBONE_LOG", cure=cure)
