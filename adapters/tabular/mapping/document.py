"""A mapping file as a tree whose every value knows its line, so that every fault can be shown where it stands.

YAML is read as data and nothing else: no tags, no anchors, and of the plain scalars only ``true``, ``false``, ``null`` and
decimal numbers mean something other than their text. The rest of YAML 1.1 turns what people write in a mapping into something
else without a word: ``No`` into false, ``10:30`` into 630, ``0123`` into 83.

Source: YAML 1.2.2 §10.3 (core schema).
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable
from typing import Any

import yaml

from schemas.errors import MappingError

CHARACTERS_MOST = 1_000_000
"""A mapping of a thousand columns has about 200,000; what is larger was not written by a person."""
DEPTH_MOST = 40
"""A FHIR resource nests about ten deep; the reader of YAML calls itself for every level."""

_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]{0,17})(?:\.[0-9]{1,17})?")
_WORDS: dict[str, bool | None] = {"true": True, "false": False, "null": None, "~": None, "": None}

Value = dict[str, "Node"] | list["Node"] | str | int | float | bool | None


class Node:
    """One value of the file: a mapping, a list or a scalar."""

    __slots__ = ("file", "line", "text", "value")

    def __init__(self, file: str, line: int, value: Value, text: str = "") -> None:
        self.file = file
        self.line = line
        self.value = value
        self.text = text
        """A scalar as written, whatever it means: an identifier keeps its leading zero."""

    def fault(self, message: str, cure: str = "") -> MappingError:
        """The error that says ``message`` about this value."""
        return MappingError(message, cure=cure, where=f"{self.file}, line {self.line}")

    def keys(self, of: str, known: Iterable[str]) -> dict[str, Node]:
        """The mapping's entries. Raises `MappingError` for anything but a mapping, and for a key not ``known``."""
        entries = self.entries(of)
        choice = list(known)
        for key, entry in entries.items():
            if key not in choice:
                raise entry.fault(f'{of} has no key "{key}"', instead(key, choice))
        return entries

    def entries(self, of: str) -> dict[str, Node]:
        """The mapping's entries, whatever their keys. Raises `MappingError` for anything but a mapping."""
        if not isinstance(self.value, dict):
            raise self.fault(f"{of} is not a set of keys with values", 'Write "key: value" lines under it, indented.')
        return self.value

    def items(self, of: str) -> list[Node]:
        """The list's items; a single value stands for a list of one. Raises `MappingError` for a mapping or nothing."""
        if isinstance(self.value, list):
            return self.value
        if isinstance(self.value, dict) or self.value is None:
            raise self.fault(f"{of} is not a list", 'Write "[one, two]", or one "- item" a line.')
        return [self]

    def word(self, of: str) -> str:
        """The scalar as text. Raises `MappingError` for a list, a mapping or nothing."""
        if isinstance(self.value, dict | list) or not self.text.strip():
            raise self.fault(f"{of} is not a text", f'Write one value after "{of}:".')
        return self.text.strip()

    def plain(self) -> Any:
        """The value without its lines."""
        if isinstance(self.value, dict):
            return {key: entry.plain() for key, entry in self.value.items()}
        if isinstance(self.value, list):
            return [entry.plain() for entry in self.value]
        return self.value

    def texts(self) -> Any:
        """The value without its lines, every scalar as written."""
        if isinstance(self.value, dict):
            return {key: entry.texts() for key, entry in self.value.items()}
        if isinstance(self.value, list):
            return [entry.texts() for entry in self.value]
        return "" if self.value is None else self.text


def instead(wrong: str, choice: Iterable[str]) -> str:
    """The cure for a name that is none of ``choice``: the nearest ones, else all of them."""
    known = list(choice)
    near = nearest(wrong, known)
    return f"Write {_or(near)} instead." if near else f"Choose from {_or(known)}."


def nearest(wrong: str, choice: Iterable[str]) -> list[str]:
    """Those of ``choice`` that ``wrong`` may be a slip for, capitals apart, at most three."""
    folded = {name.casefold(): name for name in choice}
    return [folded[name] for name in difflib.get_close_matches(wrong.casefold(), folded, n=3, cutoff=0.6)]


def _or(names: list[str]) -> str:
    quoted = [f'"{name}"' for name in names] or ["nothing"]
    return quoted[0] if len(quoted) == 1 else f"{', '.join(quoted[:-1])} or {quoted[-1]}"


def read_document(text: str, name: str) -> Node:
    """The YAML in ``text``, of the file called ``name``.

    Raises `MappingError` with the line when it is not YAML, has a tag, an anchor or a key twice, or is too large.
    """
    if len(text) > CHARACTERS_MOST:
        raise MappingError(
            f"the file has more than {CHARACTERS_MOST:,} characters", where=name, cure="Split it: one file wires one system."
        )
    try:
        _no_anchors(text, name)
        root = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.MarkedYAMLError as wrong:
        mark = wrong.problem_mark or wrong.context_mark
        place = f"{name}, line {mark.line + 1}" if mark else name
        problem = wrong.problem or wrong.context or "it cannot be read"
        raise MappingError(f"the file is not YAML: {problem}", where=place, cure=_YAML_CURE) from None
    except yaml.YAMLError:
        raise MappingError(
            "the file holds characters that YAML does not allow", where=name, cure="Save it as plain UTF-8 text."
        ) from None
    except RecursionError:
        raise _too_deep(name, 1) from None
    if root is None:
        raise MappingError("the file is empty", where=name, cure="`backbone source scaffold` writes a first one from a sample.")
    return _node(root, name, 0)


_YAML_CURE = "Check the indentation, and put quotes around a value that has a colon, a backtick or a bracket in it."


def _no_anchors(text: str, name: str) -> None:
    """Aliases let a small file stand for one of gigabytes, or for one without an end."""
    depth = 0
    for event in yaml.parse(text, Loader=yaml.SafeLoader):
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        line = event.start_mark.line + 1 if event.start_mark else 1
        if depth > DEPTH_MOST:
            raise _too_deep(name, line)
        if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None):
            raise MappingError("anchors and aliases are not allowed", where=f"{name}, line {line}", cure="Write the value out.")


def _too_deep(name: str, line: int) -> MappingError:
    return MappingError(f"the file nests deeper than {DEPTH_MOST} levels", where=f"{name}, line {line}")


def _node(raw: yaml.Node, file: str, depth: int) -> Node:
    line = raw.start_mark.line + 1 if raw.start_mark else 1
    if isinstance(raw, yaml.MappingNode) and raw.tag == "tag:yaml.org,2002:map":
        return Node(file, line, _entries(raw, file, depth))
    if isinstance(raw, yaml.SequenceNode) and raw.tag == "tag:yaml.org,2002:seq":
        return Node(file, line, [_node(item, file, depth + 1) for item in raw.value])
    if isinstance(raw, yaml.ScalarNode) and raw.tag.startswith("tag:yaml.org,2002:") and raw.tag.rpartition(":")[2] in _SCALARS:
        return Node(file, line, _scalar(raw), _unicode(raw.value, file, line))
    raise Node(file, line, None).fault(f'the tag "{raw.tag}" is not read', "A mapping is data: leave the tag out.")


_SCALARS = {"str", "int", "float", "bool", "null", "timestamp", "merge", "value"}
"""What PyYAML calls a scalar without a tag of its own; what it means is decided here."""


def _entries(raw: yaml.MappingNode, file: str, depth: int) -> dict[str, Node]:
    entries: dict[str, Node] = {}
    for key, value in raw.value:
        node = _node(value, file, depth + 1)
        if isinstance(value, yaml.CollectionNode) and key.start_mark:
            node.line = key.start_mark.line + 1
        if not isinstance(key, yaml.ScalarNode):
            raise node.fault("a key is a list or a mapping", "Write a plain word or a text in quotes before the colon.")
        if _unicode(key.value, file, node.line) in entries:
            raise node.fault(f'the key "{key.value}" appears twice', "Keep one of them.")
        entries[key.value] = node
    return entries


def _unicode(text: str, file: str, line: int) -> str:
    """``text``, unless an escape in it stands for half a character, which no other program would take."""
    if not text.isascii() and any("\ud800" <= character <= "\udfff" for character in text):
        raise Node(file, line, None).fault("an escape stands for half a character", "Write the character itself.")
    return text


def _scalar(raw: yaml.ScalarNode) -> str | int | float | bool | None:
    text: str = raw.value
    if raw.style is not None:
        return text
    if text in _WORDS:
        return _WORDS[text]
    if _NUMBER.fullmatch(text):
        return float(text) if "." in text else int(text)
    return text
