"""What a field of the settings says of itself, and the keys of a source."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple, TypeVar

import msgspec

from gateway.settings.parse import Parse, duration, match, one_of, path, some_of, table, text
from gateway.settings.values import Door
from schemas.source import NumbersAre, Sector, VisitNumbersAre

PREFIX = "BACKBONE_"
FILE = "_file"
"""Suffix of the key, and in capitals of the variable, that names a file holding the value instead."""

_Shape = TypeVar("_Shape", bound=msgspec.Struct)

Otherwise = Callable[[Mapping[str, Any]], object]
"""Makes the value of a key that was not given from the values of the keys before it, by their names."""


class Key(NamedTuple):
    """One setting: written beside the type of its field in `gateway.settings.shapes`, whose name it has."""

    parse: Parse
    default: object = None
    """As it would be written; ``None``: nothing, or what ``otherwise`` makes."""
    otherwise: Otherwise | None = None
    by_file: bool = False
    """May hold a secret: ``…_file`` names a file that holds the value."""
    secret: bool = False
    """May not stand in the settings file at all."""
    path: tuple[str, ...] = ()
    """Its place in the file: ``("limits", "body")`` is ``body`` below ``[limits]``. `keys_of` fills it in."""

    @property
    def name(self) -> str:
        return ".".join(self.path)

    @property
    def variable(self) -> str:
        """The environment variable that overrides it."""
        return PREFIX + "_".join(self.path).upper()


def keys_of(shape: type[msgspec.Struct]) -> Iterator[Key]:
    """The keys of ``shape``'s fields and of the tables below it, in their order."""
    for name, kind in shape.__annotations__.items():
        keys = keys_of(kind) if _is_table(kind) else getattr(kind, "__metadata__", ())
        yield from (key._replace(path=(name, *key.path)) for key in keys)


def filled(shape: type[_Shape], values: Mapping[str, Any], above: str = "", **others: Any) -> _Shape:
    """The ``shape`` that ``values`` of its keys, by their names, and ``others`` make; ``above``: the table that it is."""
    for name, kind in shape.__annotations__.items():
        if above + name in values:
            others[name] = values[above + name]
        elif _is_table(kind):
            others[name] = filled(kind, values, f"{above}{name}.")
    return shape(**others)


def _is_table(kind: object) -> bool:
    return isinstance(kind, type) and issubclass(kind, msgspec.Struct)


class SourceKey(NamedTuple):
    """One key of a ``[[source]]`` table."""

    name: str
    parse: Parse
    says: str
    required: bool = False


SOURCE_KEYS = (
    SourceKey("id", text, "Names the source for ever, in every key: lower-case letters, digits, hyphens.", True),
    SourceKey("name", text, "What people call it; shown on the timeline.", True),
    SourceKey("sector", one_of(Sector), "The part of health and care it belongs to.", True),
    SourceKey("reads", text, "`hl7v2`, `fhir`, `cloudevents`, or the name of a mapping file beside this one.", True),
    SourceKey("organisation", text, "ODS code of the organisation."),
    SourceKey("doors", some_of(Door), 'Doors that it may use. Default: `["http"]`.'),
    SourceKey("match", match, "Its MLLP messages: `{ sending_application = …, sending_facility = … }`, one or both."),
    SourceKey("endpoint", text, "What its FHIR messages name as `MessageHeader.source.endpoint`."),
    SourceKey("folder", path, "Its drop folder."),
    SourceKey(
        "places", table("places", '"KW" = "Kingsmill Ward"'), "What its codes of wards and sites are called: `{ code = name }`."
    ),
    SourceKey(
        "nhs_numbers", one_of(NumbersAre), "How far to trust its NHS numbers when a record does not say. Default: `traced`."
    ),
    SourceKey("visit_numbers", one_of(VisitNumbersAre), "What its HL7 v2 visit numbers (PV1-19) identify. Default: `unique`."),
    SourceKey("expect_every", duration, "When it is silent for longer than this, it is named under `missing`."),
    SourceKey("tls_client", text, "Name in the client certificate that its MLLP connections must show."),
)
"""Every key of a ``[[source]]`` table, named as the field of `Source` or `SourceSettings` that it fills."""
