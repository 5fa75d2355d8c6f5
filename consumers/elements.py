"""A resource taken apart into elements, so that what it leaves out stays as it was and what it deletes goes.

An element here is the smallest part that a source states separately: the identifiers of one system, the extension of one URL,
the parts of a stay's ``hospitalization`` and ``period``. A choice of types (``deceased[x]``) is one element.

Source: HL7 v2.4 §2.7.1 (an omitted field is unchanged, ``""`` deletes); `schemas.resources.person.mark_deleted`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from schemas.fhir.bundle import Resource
from schemas.resources.encounter import ADMISSION_METHOD_URL, DISCHARGE_METHOD_URL
from schemas.resources.person import DELETED, ETHNIC_CATEGORY

Elements = dict[str, Any]
"""Element → its value; ``None`` when it was deleted."""

_CHOICES = {
    **dict.fromkeys(("deceasedBoolean", "deceasedDateTime"), "deceased"),
    **dict.fromkeys(("multipleBirthBoolean", "multipleBirthInteger"), "multipleBirth"),
}
"""Elements with a choice of types: a new type replaces the previous one."""
_CHOSEN = frozenset(_CHOICES.values())
_LISTS = {"identifier": "system", "extension": "url"}
"""Lists whose parts are stated separately → what names a part."""
_GROUPS = frozenset({"hospitalization", "period"})
"""Elements whose parts come from different fields and are stated separately."""
_SILENT = frozenset({"resourceType", "id", "meta", "link", "subject"})
"""Say nothing of the thing itself."""
_SPECIAL = frozenset({*_CHOICES, *_LISTS, *_GROUPS, *_SILENT})
_DELETED_AS: Mapping[str, str] = {
    "ethnicCategory": f"extension {ETHNIC_CATEGORY}",
    "dischargeMethod": f"extension {DISCHARGE_METHOD_URL}",
    "hospitalization.admissionMethod": f"hospitalization.extension {ADMISSION_METHOD_URL}",
}
"""The name a deletion uses for an element that FHIR has as an extension."""


def elements(resource: Resource) -> Elements:
    """What ``resource`` states and deletes. Anything that it both deletes and states counts as stated."""
    found: Elements = dict.fromkeys(_deleted(resource)) if "extension" in resource else {}
    for name, value in resource.items():
        if name not in _SPECIAL:
            found[name] = value
        elif name not in _SILENT:
            found.update(_parts(name, value))
    return found


def _deleted(resource: Resource) -> Iterator[str]:
    for extension in resource["extension"]:
        if extension["url"] == DELETED:
            name = extension["valueString"]
            yield _DELETED_AS.get(name, name)


def _parts(name: str, value: Any) -> Elements:
    if name in _CHOICES:
        return {_CHOICES[name]: {name: value}}
    if name in _LISTS:
        return _parted(name, value)
    return {f"{name}.{part}": inner for part, inner in elements(value).items()}


def _parted(name: str, parts: list[Resource]) -> Elements:
    """The parts of a list by their names, each again a list: a system may have several identifiers."""
    found: Elements = {}
    for part in parts:
        by = part.get(_LISTS[name], "")
        if by != DELETED:
            found.setdefault(f"{name} {by}", []).append(part)
    return found


def compose(kind: str, found: Elements) -> Resource:
    """The resource of type ``kind`` that states ``found``, in a fixed order; for a Patient the inverse of `elements`."""
    resource: Resource = {"resourceType": kind}
    for name, value in sorted(found.items()):
        element = name.partition(" ")[0]
        if value is None:
            continue
        if element in _LISTS:
            resource.setdefault(element, []).extend(value)
        elif element in _CHOSEN:
            resource.update(value)
        else:
            resource[element] = value
    return resource
