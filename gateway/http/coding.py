"""Undoes the coding of a body that was sent compressed, piece by piece, and refuses what would swell without end.

Source: RFC 9110 §8.4.1.3 (gzip; ``x-gzip`` is the same), §12.5.3 and RFC 7694 §3 (Accept-Encoding in a 415); RFC 1952 §2.2 (a
file is one or more members).
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator

from schemas.errors import InvalidRequest, TooLarge, WrongCoding

GZIP = frozenset({"gzip", "x-gzip"})
PLAIN = frozenset({"", "identity"})
PIECE_BYTES = 64 * 1024
"""Inflated at a time: a body is never held twice, however well it was compressed."""
RATIO_MOST = 250
"""Inflated bytes for each one received, past the first `FREE_BYTES`: rows and resources compress to a tenth or a fiftieth."""
FREE_BYTES = 1024 * 1024
_WBITS = 16 + zlib.MAX_WBITS
"""zlib's way of saying: gzip, and nothing else."""


def compressed(encoding: str) -> bool:
    """Whether a body with this Content-Encoding is to be inflated. Raises `WrongCoding` when it cannot be."""
    name = encoding.strip().lower()
    if name not in GZIP | PLAIN:
        raise WrongCoding(where="header Content-Encoding")
    return name in GZIP


class Inflater:
    """One body on its way."""

    def __init__(self) -> None:
        self._member = zlib.decompressobj(_WBITS)
        self._received = self._inflated = 0

    def inflate(self, chunk: bytes) -> Iterator[bytes]:
        """What ``chunk`` holds, in pieces. Raises `InvalidRequest` when it is not gzip, `TooLarge` when it swells too much."""
        self._received += len(chunk)
        while chunk:
            if self._member.eof:
                self._member = zlib.decompressobj(_WBITS)
            try:
                piece = self._member.decompress(chunk, PIECE_BYTES)
            except zlib.error:
                raise _broken("the body is not gzip, or was damaged on its way") from None
            chunk = self._member.unused_data if self._member.eof else self._member.unconsumed_tail
            self._inflated += len(piece)
            if self._inflated > FREE_BYTES + self._received * RATIO_MOST:
                cure = "Send it uncompressed: a body that swells so much is not told from an attack."
                raise TooLarge(f"the body holds over {RATIO_MOST} times what it was compressed to", where="body", cure=cure)
            if piece:
                yield piece

    def close(self) -> None:
        """To be called after the last chunk. Raises `InvalidRequest` when the body was cut short."""
        if not self._member.eof:
            raise _broken("the compressed body was cut short")


def _broken(message: str) -> InvalidRequest:
    return InvalidRequest(message, where="body", cure="Nothing was taken in: compress it anew and send it again.")
