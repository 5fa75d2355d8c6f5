"""What was read of the same words before.

Messages are "fully populated": all that is sent during a stay repeats the person in the same words, and where they are and who
looks after them, often within seconds. Those words are read once. What is remembered is a function of the words alone and is
never changed; it stays in memory and is soon forgotten.

Source: HSCIC ITK HL7 V2 Message Specifications (fully populated messages).
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

REMEMBERED = 1024
"""At a time: the people, or beds, that a large hospital's messages are about within an hour; some 10 MB."""

T = TypeVar("T")


class Memory(Generic[T]):
    """Values by the words they were read of, each with the flags that reading them raised."""

    __slots__ = ("_known",)

    def __init__(self) -> None:
        self._known: dict[Hashable, tuple[T, tuple[str, ...]]] = {}

    def recall(self, words: Hashable, flags: list[str], read: Callable[[], T]) -> T:
        """What ``words`` say: as remembered, else as ``read`` now. What is odd about them is added to ``flags`` either way."""
        found = self._known.get(words)
        if found is None:
            before = len(flags)
            value = read()
            if len(self._known) >= REMEMBERED:
                self._known.clear()
            self._known[words] = value, tuple(flags[before:])
            return value
        value, odd = found
        flags += odd
        return value
