"""The delimiters of a message, and how the text between them is split and decoded.

Source: HL7 v2.4 §2.5.4 (message delimiters), §2.5.3 (null and omitted fields), §2.10 (escape sequences in text).
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache

from schemas.errors import Unreadable

NULL = '""'
"""A field of this value deletes its content, while an empty one leaves it unchanged. Source: HL7 v2.4 §2.5.3."""
_ABSENT = "\r"
"""Stands for a delimiter that the sender did not declare. No field can contain it, because it ends segments."""


class Syntax:
    """Delimiters, and the character set that ``\\X..\\`` escapes are in. Get one from `syntax`."""

    __slots__ = ("component", "encoding", "escape", "field", "repetition", "sub", "text")

    text: Callable[[str], str]
    """The text of a component: escapes resolved, blanks around it and control characters removed; ``""`` if it was deleted.

    Blanks at the end of a field or segment are not part of the value (HL7 v2.4 §2.8.40, ST). In a ``plain`` message, which has
    neither escapes, control characters nor ``""``, only the blanks are removed.
    """

    def __init__(self, field: str, declared: str, encoding: str, plain: bool) -> None:
        self.field = field
        self.component, self.repetition, self.escape, self.sub = tuple(declared[:4].ljust(4, _ABSENT))
        self.encoding = encoding
        self.text = str.strip if plain else self._text

    def _text(self, part: str) -> str:
        if self.escape in part:
            part = self._unescaped(part)
        part = part.strip()
        if part == NULL:
            return ""
        return part if part.isprintable() else _printable(part)

    def components(self, repetition: str) -> list[str]:
        """The components as sent."""
        return repetition.split(self.component)

    def repetitions(self, field: str) -> list[str]:
        """The repetitions as sent, without the empty ones."""
        if self.repetition not in field:
            return [field] if field else []
        return [repetition for repetition in field.split(self.repetition) if repetition]

    def first(self, field: str) -> str:
        """The text of the first component of the first repetition."""
        if self.repetition in field:
            field = field.partition(self.repetition)[0]
        if self.component in field:
            field = field.partition(self.component)[0]
        return self.text(field)

    def subs(self, component: str) -> list[str]:
        """The texts of the sub-components."""
        return [self.text(sub) for sub in component.split(self.sub)]

    def escaped(self, text: str) -> str:
        """``text`` with its delimiters escaped, as a field may contain it."""
        for name in "ESTRF":
            delimiter = getattr(self, _LETTERS[name])
            text = text.replace(delimiter, f"{self.escape}{name}{self.escape}") if delimiter != _ABSENT else text
        return text

    def _unescaped(self, part: str) -> str:
        """``part`` with its escape sequences resolved. Unknown and unclosed ones stay as sent, so that no text is lost."""
        pieces = part.split(self.escape)
        whole = len(pieces) % 2 == 1
        parts = [
            piece if place % 2 == 0 else self._sequence(piece) for place, piece in enumerate(pieces[: None if whole else -1])
        ]
        return "".join(parts) if whole else "".join(parts) + self.escape + pieces[-1]

    def _sequence(self, sequence: str) -> str:
        if sequence in _LETTERS:
            return str(getattr(self, _LETTERS[sequence]))
        if sequence in _FIXED:
            return _FIXED[sequence]
        decoded = self._hexadecimal(sequence[1:]) if sequence[:1] == "X" else None
        return self.escape + sequence + self.escape if decoded is None else decoded

    def _hexadecimal(self, digits: str) -> str | None:
        try:
            content = bytes.fromhex(digits)
        except ValueError:
            return None
        try:
            return content.decode(self.encoding)
        except UnicodeDecodeError:
            return content.decode("latin-1")


_LETTERS = {"F": "field", "S": "component", "T": "sub", "R": "repetition", "E": "escape"}
_FIXED = {"H": "", "N": "", ".br": "\n", ".BR": "\n"}
"""Highlighting (H, N) is dropped; ``.br`` begins a new line."""

_KEPT = "\n\t"
_CONTROLS = {code: None for code in (*range(32), *range(127, 160)) if chr(code) not in _KEPT}
"""Control characters are removed: they mean nothing, and not every store accepts them (PostgreSQL refuses U+0000)."""


def _printable(text: str) -> str:
    return text.translate(_CONTROLS).strip()


@lru_cache(maxsize=256)
def syntax(field: str, declared: str, encoding: str, plain: bool = False) -> Syntax:
    """The syntax declared by MSH-1 (``field``) and MSH-2 (``declared``). For ``plain`` see `Syntax.text`.

    The same arguments give the same object, so that caches can use it as a key. A fifth character of MSH-2 (truncation, HL7
    v2.7) is not a delimiter.

    Raises `Unreadable` when the characters cannot be delimiters.
    """
    used = field + declared[:4]
    if not declared or len(declared) > 5 or len(set(used)) != len(used):
        raise Unreadable("the encoding characters are missing, too many or not distinct", where="MSH-2")
    if any(character.isalnum() or character.isspace() or not character.isprintable() for character in used):
        raise Unreadable("a delimiter must not be a letter, a digit, a blank or a control character", where="MSH-1")
    return Syntax(field, declared, encoding, plain)
