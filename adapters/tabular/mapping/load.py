"""A mapping file: how the rows of one system become events. Data, not code; `docs/mapping-files.md` explains every key.

Reading it finds every fault that can be found without a row: a key, an event type, a column, a function or a FHIR element that
does not exist, and text that is not an expression. Each is a `MappingError` with the line and what to write instead.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from adapters.tabular.expressions.functions import folded
from adapters.tabular.expressions.tokens import names, tokens
from adapters.tabular.mapping.document import Node, instead, read_document
from adapters.tabular.mapping.elements import check_elements
from adapters.tabular.mapping.entry import KEYS, SHARED, Build, EntryReader, MappingEntry
from adapters.tabular.mapping.example import Example, columns_named, example
from adapters.tabular.mapping.leaf import Leaf, LeafGroup
from adapters.tabular.mapping.leaves import KnownColumns, Leaves
from adapters.tabular.mapping.shape import resource
from adapters.tabular.rows.layout import FLAT, KINDS, TABLES, Layout

ENGINE = "2"
"""Part of every event's id; to be raised whenever the same mapping would make different events of the same row."""

_KEYS = (
    *("about", "source", "reads", "record", "nhs_number", "columns", "optional", "unmatched", "delimiter", "sheet"),
    *("codes", "patient", *SHARED, "each", "tests"),
)


@dataclass(frozen=True, slots=True)
class Mapping:
    """A mapping file, read and found without fault."""

    name: str
    """Of the file."""
    source: str
    about: str
    version: str
    """Of what it makes: its tests and comments are no part of it."""
    layout: Layout
    record: tuple[str, ...]
    nhs_number: str
    rejects_unmatched: bool
    """Whether a row that no ``when`` matches is rejected instead of passed over."""
    conditions: LeafGroup
    patient: Build
    birth: tuple[Leaf, ...]
    """The leaves that say when the person was born or died."""
    person: LeafGroup
    each: tuple[MappingEntry, ...]
    tests: tuple[Example, ...]


def load_mapping(text: str, name: str) -> Mapping:
    """The mapping in ``text``, of the file called ``name``. Raises `MappingError`: file, line, what to write instead."""
    root = read_document(text, name)
    return _Loader(root, name).mapping()


class _Loader:
    def __init__(self, root: Node, name: str) -> None:
        self._root = root
        self._name = name
        self._keys = root.keys("the mapping", _KEYS)
        self._kind = self._choice("reads", KINDS)
        self._record = self._names("record")
        self._number = self._choice("nhs_number")
        if not self._record and not self._number:
            raise root.fault("nothing says whose record a row is", "Write `record: [the column of the local identifier]`.")
        codes = self._keys["codes"].entries("codes") if "codes" in self._keys else {}
        self._known = self._find_known()
        self._leaves = Leaves({key: _code_map(key, node) for key, node in codes.items()}, self._known, flat=self._kind in FLAT)

    def mapping(self) -> Mapping:
        each, conditions, patient, person = self._parts()
        return Mapping(
            name=self._name,
            source=self._required("source").word("source"),
            about=self._choice("about"),
            version=f"{self._digest()}.{ENGINE}",
            layout=self._layout(each),
            record=self._record,
            nhs_number=self._number,
            rejects_unmatched=self._choice("unmatched", ("ignore", "reject")) == "reject",
            conditions=conditions,
            patient=patient,
            birth=tuple(leaf for leaf in person.leaves if leaf.target in ("patient.birthDate", "patient.deceasedDateTime")),
            person=person,
            each=each,
            tests=tuple(example(node, self._kind) for node in self._list("tests")),
        )

    def _parts(self) -> tuple[tuple[MappingEntry, ...], LeafGroup, Build, LeafGroup]:
        """The entries, the part of their conditions, the patient and its part."""
        shared = {key: self._keys[key] for key in SHARED if key in self._keys}
        reader = EntryReader(self._leaves, self._known, shared)
        for node in (*self._list("record"), *self._list("nhs_number")):
            reader.column(node)
        nodes = self._required("each").items("each")
        if not nodes:
            raise self._keys["each"].fault("each is empty", "Write one entry an event.")
        keys = [node.keys("an entry of each", KEYS) for node in nodes]
        whens = [reader.condition(entry) for entry in keys]
        conditions = self._leaves.part()
        patient = self._patient()
        person = self._leaves.part()
        each = tuple(reader.entry(node, entry, when) for node, entry, when in zip(nodes, keys, whens, strict=True))
        return each, conditions, patient, person

    def _patient(self) -> Build:
        node = self._keys.get("patient")
        if node is None:
            return resource({}, "Patient", "patient", self._leaves.make)
        check_elements(node, "Patient", "patient")
        entries = {key: value for key, value in node.entries("patient").items() if key != "resourceType"}
        return resource(entries, "Patient", "patient", self._leaves.make)

    def _required(self, key: str) -> Node:
        if key not in self._keys:
            raise self._root.fault(f"the mapping does not say `{key}`", f'Add "{key}: …" at the top.')
        return self._keys[key]

    def _choice(self, key: str, choice: Sequence[str] = ()) -> str:
        node = self._required(key) if key == "reads" else self._keys.get(key)
        word = node.word(key) if node else ""
        if node and choice and word not in choice:
            raise node.fault(f'{key} is "{word}"', instead(word, choice))
        return word

    def _list(self, key: str) -> list[Node]:
        return self._keys[key].items(key) if key in self._keys else []

    def _names(self, key: str) -> tuple[str, ...]:
        return tuple(node.word(key) for node in self._list(key))

    def _find_known(self) -> KnownColumns:
        """The declared columns, else every name found anywhere in the file except in a ``key``."""
        declared = {*self._names("columns"), *self._names("optional")}
        if "columns" in self._keys:
            return KnownColumns(frozenset(declared), closed=True)
        read = [self._keys[key] for key in ("each", "patient", *SHARED) if key in self._keys]
        rows = {name for node in self._list("tests") for name in columns_named(node)}
        own = {*self._record, self._number} - {""}
        return KnownColumns(frozenset(own | declared | rows | _read_in(read)), closed=False, tested=bool(rows))

    def _layout(self, each: Iterable[MappingEntry]) -> Layout:
        columns = {*self._record, self._number}
        for entry in each:
            columns.update(entry.record, entry.key_columns)
        read = frozenset(columns.union(*(leaf.columns for leaf in self._leaves.made)) - {""})
        required = sorted(read) if self._kind in TABLES and not self._known.closed else self._names("columns")
        optional = self._names("optional")
        return Layout(
            kind=self._kind,
            required=tuple(name for name in required if name not in optional),
            wanted=None if any(leaf.whole for leaf in self._leaves.made) else read,
            delimiter=self._delimiter(),
            sheet=self._choice("sheet"),
        )

    def _delimiter(self) -> str:
        node = self._keys.get("delimiter")
        if node is None:
            return ""
        delimiter = {"tab": "\t", "\\t": "\t"}.get(node.text, node.text)
        if len(delimiter) != 1 or delimiter in '\r\n" ' or delimiter.isalnum():
            raise node.fault("the delimiter is not a single character", 'Write one, in quotes, for example ";", or "tab".')
        return delimiter

    def _digest(self) -> str:
        meaning = {key: node.plain() for key, node in self._keys.items() if key not in ("about", "tests")}
        return hashlib.sha256(orjson.dumps(meaning, option=orjson.OPT_SORT_KEYS)).hexdigest()[:16]


def _code_map(name: str, node: Node) -> dict[str, Any]:
    """What each value becomes, by its folded text."""
    found: dict[str, Any] = {}
    for key, value in node.entries(f'the code map "{name}"').items():
        if folded(key) in found:
            raise value.fault(f'the code map "{name}" has "{key}" twice, capitals and spaces apart', "Keep one of them.")
        if value.value is None:
            raise value.fault(f'"{key}" of the code map "{name}" becomes nothing', "Write what it becomes after the colon.")
        found[folded(key)] = value.plain()
    return found


_NO_EXPRESSIONS = ("key", "record", "event", "fact", "resourceType")


def _read_in(nodes: list[Node]) -> set[str]:
    """Every column that an expression under ``nodes`` reads; a ``key`` is what is to be checked against them."""
    found: set[str] = set()
    while nodes:
        here = nodes.pop()
        if isinstance(here.value, dict):
            nodes.extend(entry for name, entry in here.value.items() if name not in _NO_EXPRESSIONS)
        elif isinstance(here.value, list):
            nodes.extend(here.value)
        elif isinstance(here.value, str):
            found.update(names(tokens(here.text)).columns)
    return found
