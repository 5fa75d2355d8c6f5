"""The OpenAPI document as what a page shows of it: operations by subject, and the shapes they speak of. Pure.

Source: OpenAPI 3.1.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

METHODS = ("get", "post", "put", "patch", "delete")


class Operation(NamedTuple):
    """One method of one path."""

    method: str
    path: str
    anchor: str
    says: Mapping[str, Any]
    """The operation object of the document."""


class Subject(NamedTuple):
    """Operations that belong together."""

    name: str
    description: str
    operations: list[Operation]


def subjects(document: Mapping[str, Any]) -> list[Subject]:
    """Its operations by subject, in the order in which the document lists the subjects."""
    by_name: defaultdict[str, list[Operation]] = defaultdict(list)
    for operation in _operations(document):
        by_name[operation.says["tags"][0]].append(operation)
    described = {tag["name"]: tag.get("description", "") for tag in document["tags"]}
    return [Subject(name, described.get(name, ""), by_name[name]) for name in dict.fromkeys([*described, *by_name])]


def _operations(document: Mapping[str, Any]) -> Iterator[Operation]:
    for path, methods in document["paths"].items():
        for method in METHODS:
            if method in methods:
                anchor = f"{method}-{path.strip('/').replace('/', '-').replace('{', '').replace('}', '').replace('$', '')}"
                yield Operation(method.upper(), path, anchor, methods[method])
