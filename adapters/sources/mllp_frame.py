"""MLLP framing: turns bytes into messages and faults. Uses no sockets.

A frame is ``<VT> message <FS><CR>``. The content of a frame is not examined, except that ``<VT>MSH`` inside one means that the
sender broke off and began again: otherwise the fragment and the next message would be taken for one message. A lone ``<VT>`` is
content, because text copied from a word processor may contain it.

Source: HL7 Transport Specification: MLLP, Release 1 (block format; bytes between blocks are ignored).
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from enum import Enum, StrEnum, auto
from typing import NamedTuple

START = b"\x0b"
END = b"\x1c\r"
_RESTART = b"\x0bMSH"

MESSAGE_MOST_BYTES = 16 * 1024 * 1024
"""Limit of a message. Messages with an embedded PDF reach some 10 MB; a larger one is a fault or an attack."""
STRAY_MOST_BYTES = 64 * 1024
"""Bytes tolerated between two frames (line ends, keep-alive blanks); a peer that sends more does not use MLLP."""
DRAIN_TIMES = 4
"""A frame over the limit is read to its end, so that the refusal reaches the sender, but only up to this many times the
limit."""
HEAD_BYTES = 4096
"""Bytes kept of a frame over the limit: enough for its MSH segment, from which the refusal is made."""


class FrameFaultKind(StrEnum):
    """Faults in a stream of frames."""

    STRAY = "stray-bytes"
    """Bytes outside a frame. They are skipped."""
    HALF = "half-frame"
    """A frame was begun but not ended. It is skipped: it was not acknowledged, so its sender still has it."""
    TOO_LARGE = "too-large"
    """A frame over the limit, read to its end."""
    NOT_MLLP = "not-mllp"
    """Nothing more can be read from this stream, so it must be closed."""


class Frame(NamedTuple):
    """One complete message."""

    content: bytes


class FrameFault(NamedTuple):
    """Something in the stream that is not a complete message."""

    trouble: FrameFaultKind
    size_bytes: int
    head: bytes = b""
    """The first `HEAD_BYTES` of a frame that is too large."""
    sha256: str = ""
    """SHA-256 of the whole frame that is too large."""


class _State(Enum):
    BETWEEN = auto()
    WITHIN = auto()
    DRAINING = auto()
    """Within a frame that is too large."""


class Framer:
    """Splits a stream into frames. It never raises, and holds at most one unfinished frame.

    Each byte is examined once, whatever pieces the stream arrives in.
    """

    __slots__ = ("_buffer", "_drained", "_hash", "_head", "_most", "_seen", "_state", "_stray", "dead")

    def __init__(self, most_bytes: int = MESSAGE_MOST_BYTES) -> None:
        self._most = most_bytes
        self._buffer = bytearray()
        self._state = _State.BETWEEN
        self._stray = 0
        """Bytes outside a frame since the last frame."""
        self._seen = 0
        """Bytes at the start of the buffer that are known to contain no end of a frame."""
        self._drained = 0
        """Bytes read of a frame that is too large."""
        self._head = b""
        self._hash = hashlib.sha256()
        self.dead = False
        """Whether the stream can no longer be read; everything that follows is ignored."""

    @property
    def inside(self) -> bool:
        """Whether a frame has begun and not ended."""
        return self._state is not _State.BETWEEN

    @property
    def pending_bytes(self) -> int:
        """Bytes read of the unfinished frame."""
        return self._drained + len(self._buffer)

    @property
    def held_bytes(self) -> int:
        """Bytes held in memory."""
        return len(self._buffer)

    def feed(self, data: bytes) -> list[Frame | FrameFault]:
        """The messages and faults that ``data`` completes, in order."""
        if self._state is _State.BETWEEN and data[:1] == START and 0 < data.find(END) == len(data) - 2 <= self._most:
            self._stray = 0
            return _messages(data[1:-2])
        found: list[Frame | FrameFault] = []
        if not self.dead:
            self._buffer += data
        while not self.dead and _STEPS[self._state](self, found):
            pass
        return found

    def ended(self) -> list[Frame | FrameFault]:
        """Called at the end of the stream. Returns a fault if a frame was begun but not ended."""
        return [FrameFault(FrameFaultKind.HALF, self.pending_bytes)] if self.inside else []

    def _between(self, found: list[Frame | FrameFault]) -> bool:
        """Look for the start of a frame."""
        start = self._buffer.find(START)
        stray = len(self._buffer) if start < 0 else start
        if stray:
            self._stray += stray
            found.append(FrameFault(FrameFaultKind.STRAY, stray))
        if self._stray > STRAY_MOST_BYTES:
            return self._give_up(found, self._stray)
        del self._buffer[: stray + 1]
        if start < 0:
            return False
        self._state, self._seen, self._stray = _State.WITHIN, 0, 0
        return True

    def _within(self, found: list[Frame | FrameFault]) -> bool:
        """Look for the end of a frame that is not too large so far."""
        end = self._buffer.find(END, self._seen)
        if 0 <= end <= self._most:
            found.extend(_messages(_first(self._buffer, end)))
            del self._buffer[: end + 2]
            self._state = _State.BETWEEN
            return True
        if len(self._buffer) > self._most + 1:  # one byte more may be the first of the end
            self._head, self._hash = bytes(self._buffer[: min(HEAD_BYTES, self._most)]), hashlib.sha256()
            self._state = _State.DRAINING
            return True
        self._seen = max(0, len(self._buffer) - 1)
        return False

    def _draining(self, found: list[Frame | FrameFault]) -> bool:
        """Read a frame that is too large to its end, keeping nothing of it."""
        end = self._buffer.find(END)
        read = end if end >= 0 else len(self._buffer) - 1
        self._hash.update(_first(self._buffer, read))
        self._drained += read
        del self._buffer[: read + 2 if end >= 0 else read]
        if end >= 0:
            found.append(FrameFault(FrameFaultKind.TOO_LARGE, self._drained, self._head, self._hash.hexdigest()))
            self._state, self._drained = _State.BETWEEN, 0
            return True
        if self._drained > self._most * DRAIN_TIMES:
            return self._give_up(found, self._drained)
        return False

    def _give_up(self, found: list[Frame | FrameFault], size_bytes: int) -> bool:
        self.dead = True
        self._buffer.clear()
        found.append(FrameFault(FrameFaultKind.NOT_MLLP, size_bytes))
        return False


_STEPS: Mapping[_State, Callable[[Framer, list[Frame | FrameFault]], bool]] = {
    _State.BETWEEN: Framer._between,
    _State.WITHIN: Framer._within,
    _State.DRAINING: Framer._draining,
}
"""State to method. Each takes one step and returns whether another can follow at once."""


def _first(buffer: bytearray, size: int) -> bytes:
    """A copy of the first bytes. Through a ``memoryview``, because a slice of the ``bytearray`` would be a second copy."""
    with memoryview(buffer) as view:
        return bytes(view[:size])


def _messages(content: bytes) -> list[Frame | FrameFault]:
    """The message in a frame, preceded by a fault if its sender broke off an earlier one."""
    again = content.rfind(_RESTART)
    return [Frame(content)] if again < 0 else [FrameFault(FrameFaultKind.HALF, again), Frame(content[again + 1 :])]
