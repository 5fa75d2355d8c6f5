"""Caches what was read from the same text before.

Messages are "fully populated": every message of a stay repeats the person, the place and the clinicians in the same text, often
within seconds. That text is read once. A cached value depends only on the text it was read from, and is never changed. Memory
stays bounded whatever senders send: the cached text is limited in length, and nothing of a long message is cached.

Source: HSCIC ITK HL7 V2 Message Specifications (fully populated messages).
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from functools import lru_cache
from typing import Generic, ParamSpec, TypeVar, cast

REMEMBERED = 1024
"""Entries of a cache: the people, or beds, that a large hospital's messages are about within an hour; some 10 MB."""

REMEMBERED_CHARACTERS = 1024 * 1024
"""Characters of text that a cache may hold; the values read from them take up to seventy times as much memory."""
LONG_BYTES = 16 * 1024
"""Nothing of a longer message is cached. Except for documents, real ones have two or three KiB; the text of a longer one is
hardly ever repeated."""

T = TypeVar("T")
P = ParamSpec("P")

_CLEARERS: list[Callable[[], None]] = []


def remembered(most: int) -> Callable[[Callable[P, T]], Callable[P, T]]:
    """Like ``functools.lru_cache(most)``, but cleared by `forget`."""

    def remember(read: Callable[P, T]) -> Callable[P, T]:
        kept = lru_cache(maxsize=most)(read)
        _CLEARERS.append(kept.cache_clear)
        return cast("Callable[P, T]", kept)

    return remember


def forget() -> None:
    """Clear the cache of every function with `remembered`. Called after a long message, whose fields may be long too."""
    for clear in _CLEARERS:
        clear()


class Memory(Generic[T]):
    """A cache of values by the text they were read from, each with the flags that reading it raised."""

    __slots__ = ("_characters", "_known")

    def __init__(self) -> None:
        self._known: dict[tuple[Hashable, ...], tuple[T, tuple[str, ...]]] = {}
        self._characters = 0

    def recall(self, words: tuple[Hashable, ...], flags: list[str], read: Callable[[], T]) -> T:
        """The cached value of ``words``, else the result of ``read``, which is cached. ``flags`` gets its flags either way."""
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
