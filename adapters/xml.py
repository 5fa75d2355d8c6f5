"""Reads XML that a stranger wrote: the one place that parses any.

A document type is refused the moment it begins, and with it every entity and every address outside of the document. What is
read comes in pieces and is handed on as it comes, so that a document of any length needs no memory.

Source: XML 1.0 (fifth edition) §2.8 (document type declaration), §4.2 (entities); OWASP, XML External Entity Prevention.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple
from xml.parsers import expat  # nosec B407

from schemas.errors import Unreadable

# expat is used bare, because a document type has to be refused and not only left unread.


class XmlWords(NamedTuple):
    """How a format speaks of its XML when it refuses it."""

    what: str
    """``a part of the spreadsheet``."""
    broken: str
    """The cure where it is not XML."""
    doctype: str
    """The cure where it declares a document type."""


class SafeXml:
    """Reads one document, and calls the functions it is given for what begins, what ends, and the text between.

    The text of one element may come in several calls.
    """

    def __init__(
        self,
        words: XmlWords,
        start: Callable[[str, dict[str, str]], None] | None = None,
        end: Callable[[str], None] | None = None,
        text: Callable[[str], None] | None = None,
    ) -> None:
        self._words = words
        self._parser = expat.ParserCreate()
        self._parser.buffer_text = True
        self._parser.StartDoctypeDeclHandler = self._refuse_doctype
        self._parser.StartElementHandler, self._parser.EndElementHandler = start, end
        self._parser.CharacterDataHandler = text

    def read(self, piece: bytes, last: bool = False) -> None:
        """Read the next bytes. Raises `Unreadable` when they are not XML, are cut short, or declare a document type."""
        try:
            self._parser.Parse(piece, last)
        except (expat.ExpatError, LookupError, ValueError):  # the last two for an encoding there is not
            raise Unreadable(f"{self._words.what} is not XML", cure=self._words.broken) from None

    def _refuse_doctype(self, *_: object) -> None:
        raise Unreadable(f"{self._words.what} declares a document type", cure=self._words.doctype)
