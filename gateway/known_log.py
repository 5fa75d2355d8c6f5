"""Which log was taken in to, remembered in the data folder: senders may not be acknowledged by another one by mistake.

A process that only takes in has no store that would know it. On the embedded default the log lies in that folder itself.

Source: KIP-78 (a cluster's id).
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from pathlib import Path

from gateway.locks import PRIVATE
from schemas.errors import NotFound, OtherLogError
from schemas.log import EventLog

LOGGER = logging.getLogger("backbone.gateway")

FILE_NAME = "log-identity"

Open = Callable[[bool], Awaitable[EventLog]]
"""Opens the log; told whether topics that are missing may be made."""


async def open_known(data: Path, open_log: Open, *, create: bool) -> EventLog:
    """The log, opened, if it is the one that this data folder knows, or if it knows none.

    One that is known and not there is not made anew. Raises `OtherLogError` and what ``open_log`` raises.
    """
    known = _known(data)
    try:
        log = await open_log(create and not known)
    except NotFound:
        if known:
            raise _other(data, known, "at this address there is no log") from None
        raise
    if known not in ("", log.identity):
        await log.close()
        raise _other(data, known, f"this log is {log.identity or 'of no name'}")
    return log


def remember(data: Path, identity: str) -> None:
    """Note that what arrives goes to the log of that name; one without a name is not noted.

    A folder that cannot be written to, as in some containers, is no reason to take nothing in.
    """
    if not identity or _known(data):
        return
    try:
        data.mkdir(mode=PRIVATE, parents=True, exist_ok=True)
        draft = data / f".{FILE_NAME}"
        draft.write_text(f"{identity}\n")
        draft.rename(data / FILE_NAME)
    except OSError as error:
        message = "%s cannot be written (%s): say cluster= in BACKBONE_LOG, so that another cluster is refused"
        LOGGER.warning(message, data / FILE_NAME, error.strerror)


def _known(data: Path) -> str:
    file = data / FILE_NAME
    return file.read_text().strip() if file.is_file() else ""


def _other(data: Path, known: str, found: str) -> OtherLogError:
    cure = f"Correct BACKBONE_LOG. If the log was really replaced, remove {data / FILE_NAME}."
    return OtherLogError(f"what was taken in here went to {known}, {found}", where="BACKBONE_LOG", cure=cure)
