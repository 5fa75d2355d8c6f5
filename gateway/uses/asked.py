"""What is asked, as models that read text; and one refusal, in our words, of what they cannot read.

What a model does not name is refused: a misspelt filter must not widen an answer in silence. A refusal says where and what to
write instead, and never repeats a value, nor a name that is not the model's own (promise P12).
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from difflib import get_close_matches
from typing import Any, ClassVar, TypeVar, get_origin
from urllib.parse import parse_qsl

from pydantic import BaseModel, BeforeValidator, ConfigDict, ValidationError

from schemas.errors import BackboneError, InvalidRequest, NotFound

FIELDS_MOST = 100
"""Parameters in one query at most: the longest sensible one has about forty."""


class Asked(BaseModel):
    """What a query may say: a field a parameter."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)
    unknown: ClassVar[str] = ""
    """The cure for what it does not name, where it is another than to correct the name."""

    @classmethod
    def names(cls) -> Mapping[str, bool]:
        """The names of the parameters, and whether each may be given more than once."""
        return {row.alias or name: get_origin(row.annotation) is tuple for name, row in cls.model_fields.items()}


Model = TypeVar("Model", bound=Asked)


def _apart(sent: Any) -> Any:
    return [part for text in sent for part in text.split(",")] if isinstance(sent, list) else sent


COMMAS = BeforeValidator(_apart)
"""Of a tuple: each parameter may hold several values, with commas between."""


def read(model: type[Model], said: Mapping[str, Any]) -> Model:
    """What ``said`` asks, by name. Raises `InvalidRequest`."""
    try:
        return model.model_validate(said)
    except ValidationError as refused:
        errors = refused.errors(include_url=False, include_context=False, include_input=False)
        raise refusal("query", errors, model.names(), model.unknown) from None


def read_query(model: type[Model], text: str) -> Model:
    """What the urlencoded ``text`` asks. Raises `InvalidRequest`."""
    return read_pairs(model, pairs_of(text))


def read_pairs(model: type[Model], pairs: Sequence[tuple[str, str]]) -> Model:
    """What names and values ask. Raises `InvalidRequest`."""
    names = model.names()
    said: dict[str, Any] = {}
    said_once(pairs, names)
    for name, value in pairs:
        said[name] = [*said.get(name, ()), value] if names.get(name) else value
    return read(model, said)


def pairs_of(text: str) -> list[tuple[str, str]]:
    """Names and values of the urlencoded ``text``, in order. Raises `InvalidRequest`."""
    try:
        return parse_qsl(text, keep_blank_values=True, max_num_fields=FIELDS_MOST)
    except ValueError:
        raise InvalidRequest("there are too many parameters", where="query", cure=f"Give at most {FIELDS_MOST}.") from None


def said_once(pairs: Iterable[tuple[str, str]], names: Mapping[str, bool]) -> None:
    """Refuse what is given twice and may be given once, and anything where there is no name. Raises `InvalidRequest`."""
    seen: set[str] = set()
    for name, _ in pairs:
        if not names:
            raise InvalidRequest("this path takes no parameters", where="query", cure="Leave out what follows “?”.")
        if name in seen and not names.get(name, True):
            raise InvalidRequest("given twice", where=f"parameter {name}", cure="Give it once.")
        seen.add(name)


def refusal(place: str, errors: Iterable[Mapping[str, Any]], takes: Collection[str], unknown: str = "") -> BackboneError:
    """The first of pydantic's ``errors`` about a ``place`` (``query``, ``path``, ``body``) that ``takes`` these names.

    Their messages quote the rule that was broken and never what was sent. ``unknown`` is the model's, as `Asked` says.
    """
    error = min(errors, key=lambda one: one["type"] == _UNKNOWN)  # what is known is judged first
    if place == "body":
        cure = f"Send an object of {', '.join(takes)} in JSON, and nothing else."
        return InvalidRequest("the body is not what this path takes", where="body", cure=cure)
    name = str(error["loc"][0])
    if error["type"] == _UNKNOWN:
        return _unknown(name, takes, unknown)
    cure = f"Write {error['msg'].removeprefix(_OURS)}." if error["msg"].startswith(_OURS) else f"{error['msg']}."
    if place == "path":
        return NotFound("nothing can have this name", where=f"path, {name}", cure=cure)
    where = f"parameter {name}" if place == "query" else f"{place} {name}"
    return InvalidRequest("this is needed" if error["type"] == "missing" else "this cannot be read", where=where, cure=cure)


_UNKNOWN = "extra_forbidden"
_OURS = "Value error, "
"""What pydantic puts before the words of a ``ValueError`` of `gateway.uses.values`, which say what to write."""


def _unknown(name: str, takes: Collection[str], cure: str) -> InvalidRequest:
    close = get_close_matches(name.lower(), takes, n=1)
    cure = cure or (f"Did you mean {close[0]}?" if close else f"It takes {', '.join(takes)}.")
    return InvalidRequest("this path does not take one of the parameters", where="query", cure=cure)
