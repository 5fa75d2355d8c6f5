"""The one reader of XML: what it hands on, and what it refuses before anything of it counts."""

from __future__ import annotations

import pytest

from adapters.xml import SafeXml, XmlWords
from schemas.errors import Unreadable

WORDS = XmlWords(what="the document", broken="Send it whole.", doctype="Ask where it came from.")


def read(*pieces: bytes) -> str:
    """What is handed on of the document in ``pieces``, written one after the other."""
    seen: list[str] = []
    xml = SafeXml(
        WORDS,
        lambda name, attributes: seen.append(f"<{name} {attributes}>"),
        lambda name: seen.append(f"</{name}>"),
        seen.append,
    )
    for piece in pieces:
        xml.read(piece)
    xml.read(b"", last=True)
    return "".join(seen)


def test_what_begins_what_ends_and_the_text_between_are_handed_on_however_the_bytes_are_cut() -> None:
    whole = '<a x="1"><b>Élan &amp; Co</b></a>'.encode()
    assert read(whole) == read(*(whole[at : at + 1] for at in range(len(whole)))) == "<a {'x': '1'}><b {}>Élan & Co</b></a>"


@pytest.mark.parametrize(
    "doctype",
    [
        b"<!DOCTYPE a>",
        b'<!DOCTYPE a SYSTEM "file:///etc/passwd">',
        b'<!DOCTYPE a [<!ENTITY b "bb"><!ENTITY c "&b;&b;">]>',
        b'<!DOCTYPE a [<!ENTITY % b SYSTEM "http://127.0.0.1/b"> %b;]>',
    ],
)
def test_a_document_type_is_refused_before_the_document_ends(doctype: bytes) -> None:
    xml = SafeXml(WORDS)
    with pytest.raises(Unreadable, match="the document declares a document type"):
        xml.read(b'<?xml version="1.0"?>' + doctype)


@pytest.mark.parametrize(
    "content", [b"", b"<a>", b"<a><b></a>", b"MSH|^~\\&|", b'<?xml version="1.0" encoding="UTF-9"?><a/>', b"<a>&b;</a>"]
)
def test_what_is_not_xml_or_is_cut_short_is_refused(content: bytes) -> None:
    with pytest.raises(Unreadable, match="the document is not XML"):
        read(content)
