"""Opaque keys made from identifiers, so that no identifier travels in a key, a URL, a log or a metric.

A plain hash of an NHS number can be reversed by trying all of them; an HMAC with a secret cannot (promise P12). Every process
of one backbone needs the same secret, for ever: with a different one, every key and person id is different.

Source: RFC 2104 (HMAC), FIPS 180-4 (SHA-256).
"""

from __future__ import annotations

import hashlib

from schemas.identifiers import FactId, LocalId, NhsNumber, PersonId, RecordKey

_LENGTH = 32
"""Hexadecimal digits kept: at 128 bits, the chance that any two of 10^9 keys collide is below 10^-20."""
_BLOCK_BYTES = 64
"""Block size of SHA-256 in bytes, to which a key is padded (RFC 2104 §2, B)."""
_INNER = bytes(byte ^ 0x36 for byte in range(256))
_OUTER = bytes(byte ^ 0x5C for byte in range(256))
"""What the key is XORed with for the inner and the outer hash (RFC 2104 §2, ipad and opad), as translation tables."""


class Pseudonyms:
    """Makes keys and ids from identifiers; the same identifier always gives the same key.

    ``secret`` has at least 32 bytes. It comes from the settings and is never logged.
    """

    __slots__ = ("_inner", "_outer")

    def __init__(self, secret: bytes) -> None:
        if len(secret) < 32:
            raise ValueError("the pseudonym secret needs at least 32 bytes")
        key = secret if len(secret) <= _BLOCK_BYTES else hashlib.sha256(secret).digest()
        key = key.ljust(_BLOCK_BYTES, b"\0")
        self._inner = hashlib.sha256(key.translate(_INNER))
        self._outer = hashlib.sha256(key.translate(_OUTER))

    def _make(self, *parts: str) -> str:
        """Each part is preceded by its length, so that ``a`` + ``bc`` and ``ab`` + ``c`` differ whatever characters a sender
        uses.

        The HMAC starts from two hashes that have already read the key: every event has several keys, and the standard
        library's object takes twice as long.
        """
        inner, outer = self._inner.copy(), self._outer.copy()
        inner.update("".join([f"{len(part)}:{part}" for part in parts]).encode("utf-8", "surrogatepass"))
        outer.update(inner.digest())
        return outer.hexdigest()[:_LENGTH]

    def record(self, source: str, local_id: LocalId) -> RecordKey:
        """Key of the record that ``source`` knows by ``local_id``."""
        return RecordKey(self._make("record", source, local_id))

    def record_by_number(self, source: str, number: NhsNumber) -> RecordKey:
        """Key of a record that ``source`` knows only by the NHS number."""
        return RecordKey(self._make("record-by-nhs-number", source, number))

    def fact(self, source: str, *natural_key: str) -> FactId:
        """Id of the fact that ``source`` names by ``natural_key``, for example a visit and a kind of movement."""
        return FactId(self._make("fact", source, *natural_key))

    def conversation(self, source: str, thread: str) -> str:
        """Id of what belongs together at one source: a visit, a referral thread."""
        return self._make("conversation", source, thread)

    def control(self, source: str, control: str) -> str:
        """Id of a message made from the sender's own id for it (MLLP: MSH-3, MSH-4 and MSH-10), which may contain a hospital
        number."""
        return self._make("control", source, control)

    def fingerprint(self) -> str:
        """Tells whether two processes have the same secret, without telling the secret.

        It gives no more away than any record's key does: to try secrets on it is to try them on a key of the log.
        """
        return self._make("key-secret")

    def person_by_number(self, number: NhsNumber) -> PersonId:
        """Id of the person with this verified NHS number, whichever source states it."""
        return PersonId(self._make("person", number))

    def person_by_record(self, record: RecordKey) -> PersonId:
        """Id of the person of a record without a verified NHS number."""
        return PersonId(self._make("person-of-record", record))
