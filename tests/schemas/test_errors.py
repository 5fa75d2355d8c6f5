"""The error tree: drawn as it is, each with a code, a sentence and a cure."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest

from schemas import errors
from schemas.errors import BackboneError, InvalidValue, NotFound, kind_and_place, place_raised


def tree(cls: type[BackboneError], depth: int = 0) -> Iterator[tuple[int, type[BackboneError]]]:
    yield depth, cls
    for child in cls.__subclasses__():
        if child.__module__ == errors.__name__:
            yield from tree(child, depth + 1)


CLASSES = [cls for _, cls in tree(BackboneError)]


def drawn() -> list[tuple[int, str]]:
    """The (depth, name) pairs of the tree in the module's docstring."""
    lines = re.findall(r"^ {4}([│├└─ ]*)(\w+)", errors.__doc__ or "", re.MULTILINE)
    return [(len(line) // 4, name) for line, name in lines]


def test_the_tree_is_drawn_as_it_is() -> None:
    assert sorted(drawn()) == sorted((depth, cls.__name__) for depth, cls in tree(BackboneError))


@pytest.mark.parametrize("cls", CLASSES)
def test_an_error_has_a_code_a_sentence_and_a_cure(cls: type[BackboneError]) -> None:
    assert "code" in vars(cls)
    assert re.fullmatch("[a-z]+(-[a-z0-9]+)*", cls.code)
    assert re.fullmatch(r"[A-Z`].*\.", (cls.__doc__ or "").splitlines()[0])
    assert cls.cure.endswith(".")


def test_no_two_errors_share_a_code() -> None:
    codes = [cls.code for cls in CLASSES]
    assert len(codes) == len(set(codes))


MESSAGES = [
    (InvalidValue("the date cannot be", where="PID-7"), "the date cannot be at PID-7. " + InvalidValue.cure),
    (NotFound(), "Nothing of that id is here. " + NotFound.cure),
    (NotFound(where="path"), "Nothing of that id is here at path. " + NotFound.cure),
    (NotFound("no such person.", cure="Look again."), "no such person. Look again."),
]


@pytest.mark.parametrize(("error", "text"), MESSAGES)
def test_an_error_is_said_with_its_place_and_cure(error: BackboneError, text: str) -> None:
    assert str(error) == text
    assert ".." not in text


def test_the_place_of_an_error_says_nothing_of_the_content() -> None:
    def apply(content: str) -> None:
        raise KeyError(content)

    with pytest.raises(KeyError) as raised:
        apply("9990000018 Okafor")
    place = place_raised(raised.value)
    assert re.match(rf"{__name__}:\d+ apply < {__name__}:\d+ test_the_place", place)
    assert kind_and_place(raised.value) == f"KeyError at {place}"
    assert kind_and_place(KeyError("9990000018 Okafor")) == "KeyError"
    assert "Okafor" not in place
