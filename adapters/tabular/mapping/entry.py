"""The entries of ``each``: the events that a row may make."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from adapters.tabular.mapping.complete import Complete, complete
from adapters.tabular.mapping.document import Node
from adapters.tabular.mapping.elements import check_elements
from adapters.tabular.mapping.example import event_type
from adapters.tabular.mapping.leaf import Leaf, LeafGroup, Scope, columns_of
from adapters.tabular.mapping.leaves import KnownColumns, Leaves, is_slip, unknown_column
from adapters.tabular.mapping.shape import resource
from schemas.catalogue import EventType
from schemas.event import Sensitivity

KEYS = ("event", "when", "fact", "key", "occurred_at", "focus", "others", "record", "sequence", "thread", "sensitivity")
SHARED = ("sequence", "thread", "sensitivity")
"""Keys that may also stand at the top of the file, for every entry that has none of its own."""

Value = Callable[[Scope], Any]
Build = Callable[[Scope], dict[str, Any]]


class Focus(NamedTuple):
    """What an entry says about its focus."""

    build: Build
    """What the mapping says."""
    complete: Complete
    columns: frozenset[str] | None
    """Those that ``build`` reads; ``None`` for any."""


@dataclass(frozen=True, slots=True)
class MappingEntry:
    """One entry of ``each``."""

    type: EventType
    when: Value | None
    fact: str
    """The kind of fact: unless stated the event type without its version, so that a new version of the type keeps the facts."""
    key: tuple[Value, ...]
    key_columns: tuple[str, ...]
    """Those of its parts that are columns."""
    occurred_at: Leaf
    focus: Focus | None
    """``None`` for an event about the Patient itself."""
    others: tuple[Build, ...]
    record: tuple[str, ...]
    """Columns that name another record than the row's own, when the event is about that one."""
    sequence: Value | None
    thread: Value | None
    sensitivity: Value | None
    part: LeafGroup


class EntryReader:
    """Reads entries. ``shared`` has the nodes of `SHARED` at the top of the file."""

    def __init__(self, leaves: Leaves, known: KnownColumns, shared: Mapping[str, Node]) -> None:
        self._leaves = leaves
        self._known = known
        self._shared = shared

    def condition(self, entry: dict[str, Node]) -> Value | None:
        """The entry's ``when``: it is evaluated before, and together with those of all entries."""
        node = entry.get("when")
        return (
            self._leaves.make(node, f"when of {entry['event'].text if 'event' in entry else 'an entry'}").run if node else None
        )

    def entry(self, node: Node, keys: dict[str, Node], when: Value | None) -> MappingEntry:
        """The entry at ``node``. Raises `MappingError`."""
        kind = event_type(node, keys)
        for key, cure in _CURES.items():
            if key not in keys:
                raise node.fault(f"the entry of {kind.name} does not say `{key}`", cure)
        return MappingEntry(
            type=kind,
            when=when,
            fact=keys["fact"].word("fact") if "fact" in keys else kind.name.rpartition("-")[0],
            key=tuple(self._key(part) for part in keys["key"].items("key")),
            key_columns=tuple(part.text.strip() for part in keys["key"].items("key") if not _is_expression(part.text)),
            occurred_at=self._leaves.make(keys["occurred_at"], f"occurred_at of {kind.name}"),
            focus=self._focus(node, keys, kind),
            others=tuple(self._other(other, kind) for other in keys["others"].items("others")) if "others" in keys else (),
            record=tuple(self.column(part) for part in keys["record"].items("record")) if "record" in keys else (),
            sequence=self._optional(keys, "sequence", kind),
            thread=self._optional(keys, "thread", kind),
            sensitivity=self._optional(keys, "sensitivity", kind),
            part=self._leaves.part(),
        )

    def _key(self, node: Node) -> Value:
        if _is_expression(node.word("key")):
            return self._leaves.make(node, "key").run
        name = self.column(node)
        return lambda scope: scope.get(name)

    def column(self, node: Node) -> str:
        """The column that ``node`` names. Raises `MappingError` when it is a slip for another."""
        name = node.word("the column")
        if name in self._known.columns:
            return name
        if self._known.closed:
            raise node.fault(f'the column "{name}" is not declared', unknown_column(name, self._known))
        if self._known.tested or is_slip(name, self._known.columns):
            raise node.fault(f'no test and no other line names a column "{name}"', unknown_column(name, self._known))
        return name

    def _optional(self, keys: dict[str, Node], key: str, kind: EventType) -> Value | None:
        """The entry's own, else the whole mapping's."""
        node = keys.get(key) or self._shared.get(key)
        if node is None:
            return None
        level = _SENSITIVITIES.get(node.text.strip().lower()) if key == "sensitivity" else None
        return (lambda scope: level) if level else self._leaves.make(node, f"{key} of {kind.name}").run

    def _focus(self, node: Node, keys: dict[str, Node], kind: EventType) -> Focus | None:
        focus = keys.get("focus")
        if kind.focus == "Patient":
            if focus:
                raise focus.fault(f"{kind.name} is about the Patient itself", "Write its elements under `patient:` at the top.")
            return None
        stated = focus.entries("focus").get("resourceType") if focus else None
        if stated is None and kind.focus == "Resource":
            raise node.fault(f"{kind.name} may be about any resource", "Write `resourceType: …` first under `focus:`.")
        made = stated.word("resourceType") if stated else kind.focus
        if stated and kind.focus not in (made, "Resource"):
            raise stated.fault(f"{kind.name} is about no {made}", f"Write {kind.focus}, or leave the line out.")
        before = len(self._leaves.made)
        build = self._resource(focus, made, f"focus of {kind.name}")
        return Focus(build, complete(made, kind.name), columns_of(self._leaves.made[before:]))

    def _other(self, node: Node, kind: EventType) -> Build:
        entries = node.entries("others")
        if "resourceType" not in entries:
            raise node.fault("one of others does not say `resourceType`", "Write it first.")
        return self._resource(node, entries["resourceType"].word("resourceType"), f"others of {kind.name}")

    def _resource(self, node: Node | None, kind: str, target: str) -> Build:
        if node is None:
            return resource({}, kind, target, self._leaves.make)
        check_elements(node, kind, target)
        entries = {key: value for key, value in node.entries(target).items() if key != "resourceType"}
        return resource(entries, kind, target, self._leaves.make)


_CALL = re.compile(r"\s*\$\w+\(")


def _is_expression(key: str) -> bool:
    """A part of a key is a column's name, unless it has the signs of an expression: a backtick, or a function's call."""
    return "`" in key or bool(_CALL.match(key))


_CURES = {
    "key": "Write `key: […]` with the columns that together name the fact, so that a correction of it is known as one.",
    "occurred_at": "Write when it happened, for example '$day(`Date`)'.",
}
_SENSITIVITIES = {
    "n": Sensitivity.NORMAL,
    "r": Sensitivity.RESTRICTED,
    "v": Sensitivity.VERY_RESTRICTED,
    "normal": Sensitivity.NORMAL,
    "restricted": Sensitivity.RESTRICTED,
    "very restricted": Sensitivity.VERY_RESTRICTED,
}
