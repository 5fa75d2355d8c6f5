"""The functions a mapping's expressions may call beside JSONata's own: all pure, all explained in docs/mapping-files.md.

A blank cell is JSONata's *nothing*, and a function returns nothing for it: the element is left out. A value that cannot be what
the function reads raises `ImpossibleError`: the row is rejected, with the column's name.

Source: NHS Data Dictionary, PERSON GENDER CODE, POSTCODE; FHIR R4 AdministrativeGender, HumanName; Ofcom National Telephone
Numbering Plan.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

from adapters.tabular.expressions import dates
from adapters.tabular.expressions.dates import ImpossibleError
from schemas.identifiers import nhs_number
from schemas.resources.person import postcode

Codes = Mapping[str, Mapping[str, Any]]
"""The mapping file's ``codes``: by the name of a map, what each value (in folded form, see `folded`) becomes."""

OTHERWISE = "*"
"""The entry of a code map for every value that has none of its own; when it becomes ``*``, the value stays as it is."""


class Function(NamedTuple):
    """One function."""

    call: Callable[..., Any]
    least: int
    most: int
    """Arguments it takes."""
    gives: str
    """``text``, ``truth`` or ``any``."""
    of_text: Callable[[str], Any] | None = None
    """The same for a text that is trimmed and not blank, as the cells of a table are: without looking what it was given."""


def text_of(value: Any) -> str:
    """A cell as trimmed text: ``""`` for nothing. Raises `ImpossibleError` for a list or an object."""
    if isinstance(value, str):
        return value.strip()
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return f"{value:.15g}" if isinstance(value, float) else str(value)
    raise ImpossibleError("is a list or an object where a text is needed")


def folded(text: str) -> str:
    """``text`` as code maps compare it: Client Level Data changed its capitals between releases, people change their spaces."""
    return " ".join(text.split()).casefold()


def _day(value: Any) -> str | None:
    text = text_of(value)
    return dates.day(text) if text else None


def _moment(value: Any, time: Any = None) -> str | None:
    text = text_of(value)
    return dates.moment(text, text_of(time)) if text else None


def _postcode(value: Any) -> str | None:
    """Kept as it stands when it is none: half a postcode still helps whoever reads it."""
    return postcode(text_of(value)) or None


def _nhs_number(value: Any) -> str | None:
    number = nhs_number(text_of(value))
    return None if number is None else str(number)


_GENDERS = (
    dict.fromkeys(("1", "m", "male", "man", "boy"), "male")
    | dict.fromkeys(("2", "f", "female", "woman", "girl"), "female")
    | dict.fromkeys(("9", "o", "other", "indeterminate", "non-binary", "nonbinary", "i"), "other")
    | dict.fromkeys(("0", "x", "u", "unknown", "not known", "not stated", "not specified"), "unknown")
)


def _gender(value: Any) -> str | None:
    """Left out when it is no word we know: what a form calls gender says many things."""
    return _GENDERS.get(folded(text_of(value)))


_TRUTHS: Mapping[str, bool | None] = MappingProxyType(
    dict.fromkeys(("y", "yes", "true", "t", "1"), True)
    | dict.fromkeys(("n", "no", "false", "f", "0"), False)
    | dict.fromkeys(("", "unknown", "not known", "not stated", "n/a", "-"), None)
)


def _yes(value: Any) -> bool | None:
    try:
        return _TRUTHS[folded(text_of(value))]
    except KeyError:
        raise ImpossibleError("says neither yes nor no") from None


_PUNCTUATION = str.maketrans("", "", " -().\u00a0/\t")
_TELEPHONE = re.compile(r"(?:\+44|0044)?0?([1-9][0-9]{8,9})", re.ASCII)
_AMONG_WORDS = re.compile(r"(?<![0-9])[+(]{0,2}[0-9][0-9 ()\u00a0-]{7,24}(?![ ()\u00a0-]{0,3}[0-9])", re.ASCII)
"""What may be a number; a blank or bracket at its end is no part of it."""
_PHONE_READ = 200
_ABROAD = re.compile(r"(?:\+|00)([1-9][0-9]{6,14})", re.ASCII)


def _phone(value: Any) -> str | None:
    """A United Kingdom number as ``01632960114``, whose zero a spreadsheet may have eaten; one abroad as ``+33…``.

    Of a number with words beside it (``07700 900123 daughter``), or of several, the first one.
    """
    text = text_of(value)
    whole = _number(text)
    return whole or next(filter(None, (_number(found) for found in _AMONG_WORDS.findall(text[:_PHONE_READ]))), None)


def _number(text: str) -> str | None:
    digits = text.translate(_PUNCTUATION)
    match = _TELEPHONE.fullmatch(digits)
    if match:
        return "0" + match[1]
    match = _ABROAD.fullmatch(digits)
    return "+" + match[1] if match else None


_TITLES = frozenset({"mr", "mrs", "miss", "ms", "mx", "dr", "prof", "professor", "rev", "reverend"}) | frozenset(
    {"sir", "dame", "lady", "lord", "fr", "sister"}
)


def _name(value: Any, family: Any = None) -> dict[str, Any] | None:
    """A FHIR HumanName of one whole name (``Mrs Ann Lee``, ``Lee, Ann``), or of given names and family name."""
    first, last = text_of(value), text_of(family)
    if not last and "," in first:
        last, _, first = (part.strip() for part in first.partition(","))
    words = first.split()
    prefix = [words.pop(0)] if words and words[0].rstrip(".").lower() in _TITLES else []
    if not last and words:
        last = words.pop()
    name: dict[str, Any] = {"text": " ".join([*prefix, *words, last])} if words or last else {}
    parts = {"family": last, "given": words, "prefix": prefix if name else []}
    return name | {part: held for part, held in parts.items() if held} or None


class _CodeOf:
    """``$code`` of one mapping."""

    __slots__ = ("_codes",)

    def __init__(self, codes: Codes) -> None:
        self._codes = codes

    def __call__(self, name: Any, value: Any = None) -> Any:
        text = text_of(value)
        return self.of_text(name, text) if text else None

    def of_text(self, name: str, text: str) -> Any:
        """What the map called ``name`` makes of ``text``, which is not blank."""
        found = self._codes[name]
        key = folded(text)
        if key in found:
            return found[key]
        if OTHERWISE in found:
            return text if found[OTHERWISE] == OTHERWISE else found[OTHERWISE]
        raise ImpossibleError(f'holds a value that the code map "{name}" does not have')


FUNCTIONS: Mapping[str, Function] = MappingProxyType(
    {
        "day": Function(_day, 1, 1, "text", dates.day),
        "moment": Function(_moment, 1, 2, "text", dates.moment),
        "postcode": Function(_postcode, 1, 1, "text"),
        "nhs_number": Function(_nhs_number, 1, 1, "text"),
        "gender": Function(_gender, 1, 1, "text"),
        "phone": Function(_phone, 1, 1, "text"),
        "name": Function(_name, 1, 2, "any"),
        "yes": Function(_yes, 1, 1, "truth"),
        "code": Function(_CodeOf({}), 2, 2, "any"),
    }
)
"""By the name an expression calls it, without the ``$``."""


def functions(codes: Codes) -> Mapping[str, Function]:
    """The functions with ``$code`` over these code maps."""
    return {**FUNCTIONS, "code": FUNCTIONS["code"]._replace(call=_CodeOf(codes))}


JSONATA = frozenset(
    {
        "abs",
        "append",
        "assert",
        "average",
        "base64decode",
        "base64encode",
        "boolean",
        "ceil",
        "clone",
        "contains",
        "count",
        "decodeUrl",
        "decodeUrlComponent",
        "distinct",
        "each",
        "encodeUrl",
        "encodeUrlComponent",
        "error",
        "exists",
        "filter",
        "floor",
        "formatBase",
        "formatInteger",
        "formatNumber",
        "fromMillis",
        "join",
        "keys",
        "length",
        "lookup",
        "lowercase",
        "map",
        "match",
        "max",
        "merge",
        "min",
        "not",
        "number",
        "pad",
        "parseInteger",
        "power",
        "reduce",
        "replace",
        "reverse",
        "round",
        "sift",
        "single",
        "sort",
        "split",
        "spread",
        "sqrt",
        "string",
        "substring",
        "substringAfter",
        "substringBefore",
        "sum",
        "toMillis",
        "trim",
        "type",
        "uppercase",
        "zip",
    }
)
"""JSONata's own functions that a mapping may call."""

REFUSED: Mapping[str, str] = MappingProxyType(
    {
        "eval": "would run text from a record as code",
        "now": "gives another result each time, and a record sent again must make the same event",
        "millis": "gives another result each time, and a record sent again must make the same event",
        "random": "gives another result each time, and a record sent again must make the same event",
        "shuffle": "gives another result each time, and a record sent again must make the same event",
    }
)
"""JSONata's own functions that a mapping may not call, and why."""
