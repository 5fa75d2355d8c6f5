"""Tokens that may be used once: which were, across all processes and restarts.

Source: RFC 7519 §4.1.7 (``jti``) and RFC 7523 §3: a server that refuses replayed tokens keeps their ids until they expire.
"""

from __future__ import annotations

import hashlib
from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.sql import ClauseElement

from consumers.database.insertion import insert
from consumers.database.statement import SqlStatement
from consumers.ledger.tables import USED_TOKEN


def _once(sqlite: bool) -> ClauseElement:
    once: ClauseElement = insert(USED_TOKEN, sqlite).on_conflict_do_nothing()
    return once


_ONCE = SqlStatement(_once)


def digest_of(issuer: str, token: str) -> str:
    """What is kept of a token's id. Ids of different issuers may be the same (RFC 7519 §4.1.7)."""
    return hashlib.sha256(f"{len(issuer)}:{issuer}{token}".encode()).hexdigest()


async def use(connection: AsyncConnection, digest: str, expires_at: datetime) -> bool:
    """Note that the token is used; whether it is for the first time.

    Of two processes that use one token at once, the second waits for the first and then finds it used.
    """
    return await _ONCE.changed(connection, {"digest": digest, "expires_at": int(expires_at.timestamp())}) == 1
