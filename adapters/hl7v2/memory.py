"""What was read of the same words before.

Messages are "fully populated": all that is sent during a stay repeats the person in the same words, and where they are and who
looks after them, often within seconds. Those words are read once. What is remembered is a function of the words alone and is
never changed; it stays in memory and is soon forgotten. Memory has an end whoever sends: what is remembered is bounded by its
words, and of a long message nothing is.

Source: HSCIC ITK HL7 V2 Message Specifications (fully populated messages).
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from functools import lru_cache
from typing import Generic, ParamSpec, TypeVar, cast

REMEMBERED = 1024
"""At a time: the people, or beds, that a large hospital's messages are about within an hour; some 10 MB."""

REMEMBERED_CHARACTERS = 1024 * 1024
"""Of the words remembered at a time: what is read of them takes up to seventy times as much."""
LONG_BYTES = 16 * 1024
"""Of a message: real ones have two or three KiB, documents apart. The words of a longer one hardly come again."""

T = TypeVar("T")
P = ParamSpec("P")

_FORGETTING: list[Callable[[], None]] = []


def remembered(most: int) -> Callable[[Callable[P, T]], Callable[P, T]]:
    """As ``functools.lru_cache`` of ``most`` calls, until `forget`."""

    def remember(read: Callable[P, T]) -> Callable[P, T]:
        kept = lru_cache(maxsize=most)(read)
        _FORGETTING.append(kept.cache_clear)
        return cast("Callable[P, T]", kept)

    return remember


def forget() -> None:
    """Forget what every function with `remembered` was called with: after a long message, whose fields may be long too."""
    for clear in _FORGETTING:
        clear()


class Memory(Generic[T]):
    """Values by the words they were read of, each with the flags that reading them raised."""

    __slots__ = ("_characters", "_known")

    def __init__(self) -> None:
        self._known: dict[tuple[Hashable, ...], tuple[T, tuple[str, ...]]] = {}
        self._characters = 0

    def recall(self, words: tuple[Hashable, ...], flags: list[str], read: Callable[[], T]) -> T:
        """What ``words`` say: as remembered, else as ``read`` now. What is odd about them is added to ``flags`` either way."""
        found = self._known.get(words)
        if found is None:
            before = len(flags)
            value = read()
            self._characters += sum(len(word) for word in words if isinstance(word, str))
            if len(self._known) >= REMEMBERED or self._characters > REMEMBERED_CHARACTERS:
                self._known.clear()
                self._characters = 0
            self._known[words] = value, tuple(flags[before:])
            return value
        value, odd = found
        flags += odd
        return value
