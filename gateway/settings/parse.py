"""From what stands in the file or the environment to a typed value. A ``ValueError`` says what to write instead.

Text from the environment and values from TOML meet the same parsers, so that both sides accept the same.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from datetime import timedelta
from pathlib import Path
from typing import Any, TypeVar

from gateway.settings.values import Address, Match, Secret, Url

Parse = Callable[[object, Path], Any]
"""Takes the value and the folder that relative paths start from."""

_Word = TypeVar("_Word", bound=str)

_DURATION = re.compile(r"(\d+(?:\.\d+)?) *(millisecond|second|minute|hour|day|week)s?")
_SIZE = re.compile(r"(\d+(?:\.\d+)?) *(B|KiB|MiB|GiB|kB|MB|GB)")
_SIZES = {"B": 1, "kB": 10**3, "MB": 10**6, "GB": 10**9, "KiB": 2**10, "MiB": 2**20, "GiB": 2**30}
_HOST_PORT = re.compile(r"(?:\[([0-9A-Fa-f:.]+)\]|([^\[\]:/@\s]+)):(\d{1,5})")

_NAME = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9.-]{0,251}[A-Za-z0-9])?")
"""RFC 1123 §2.1, without the lengths of the labels."""


def duration(value: object, _base: Path) -> timedelta:
    """``30 seconds``, ``1 day``: a bare number could be any unit."""
    match = _DURATION.fullmatch(value.strip()) if isinstance(value, str) else None
    if match is None:
        raise ValueError('write a number and its unit, for example "30 seconds" or "1 day"')
    return timedelta(**{match[2] + "s": float(match[1])})


def size(value: object, _base: Path) -> int:
    """``16 MiB``, or a whole number of bytes."""
    text = str(value).strip() if isinstance(value, int | str) and not isinstance(value, bool) else ""
    match = _SIZE.fullmatch(text if not text.isdigit() else text + "B")
    if match is None:
        raise ValueError('write a number and its unit, for example "16 MiB", or a whole number of bytes')
    return int(float(match[1]) * _SIZES[match[2]])


def whole(least: int, most: int) -> Parse:
    """A whole number between the two."""

    def parse(value: object, _base: Path) -> int:
        text = str(value).strip() if isinstance(value, int | str) and not isinstance(value, bool) else ""
        if not (text.isascii() and text.isdigit() and least <= int(text) <= most):
            raise ValueError(f"write a whole number from {least} to {most}")
        return int(text)

    return parse


def whole_or_auto(least: int, most: int) -> Parse:
    """The same, or ``auto``, which is ``None``."""
    number = whole(least, most)

    def parse(value: object, base: Path) -> int | None:
        if value == "auto":
            return None
        try:
            parsed: int = number(value, base)
        except ValueError as error:
            raise ValueError(f"write auto, or {str(error).removeprefix('write ')}") from None
        return parsed

    return parse


def address(value: object, _base: Path) -> Address:
    """``127.0.0.1:8080``, ``[::1]:8080``."""
    match = _HOST_PORT.fullmatch(value.strip()) if isinstance(value, str) else None
    if match is None or int(match[3]) > 65535:
        raise ValueError("write HOST:PORT, for example 127.0.0.1:8080")
    return Address(match[1] or match[2], int(match[3]))


def web(value: object, base: Path) -> str:
    """``http://collector:4318/v1/traces``."""
    written = text(value, base)
    if not re.fullmatch(r"https?://[^\s/?#@]+(?:/[^\s?#]*)?", written):
        raise ValueError("write http://HOST:PORT/PATH, without user or password")
    return written


def share(value: object, _base: Path) -> float:
    """A part of the whole, from 0 to 1."""
    written = str(value).strip() if isinstance(value, int | float | str) and not isinstance(value, bool) else ""
    if not re.fullmatch(r"0|1|[01]?\.\d+", written, re.ASCII) or float(written) > 1:
        raise ValueError("write a number from 0 to 1, for example 0.1")
    return float(written)


def text(value: object, _base: Path) -> str:
    """Text that says something."""
    if not isinstance(value, str) or not value.strip():
        raise ValueError("write a text between quotes")
    return value.strip()


def secret(value: object, base: Path) -> Secret:
    """Text that nobody may see."""
    return Secret(text(value, base).encode())


def table(name: str, example: str, keys: tuple[str, ...] = ()) -> Parse:
    """The table ``name`` of texts; with ``keys``, of no others."""

    def parse(value: object, _base: Path) -> dict[str, str]:
        if not isinstance(value, dict) or not value or not all(isinstance(text, str) and text for text in value.values()):
            raise ValueError(f"write {name} = {{ {example} }}")
        unknown = sorted(set(value).difference(keys)) if keys else ()
        if unknown:
            raise ValueError(f"it has no key {unknown[0]}{nearest(unknown[0], keys)}: write {example}")
        return value

    return parse


_MATCH = table("match", 'sending_application = "PAS", sending_facility = "RX1"', Match.__struct_fields__)


def match(value: object, base: Path) -> Match:
    """Which MLLP messages are a source's."""
    return Match(**_MATCH(value, base))


def spelled_out(words: str) -> Parse:
    """``True`` for exactly these words: for what nobody should switch on without having read what it means."""

    def parse(value: object, _base: Path) -> bool:
        if value != words:
            raise ValueError(f'write "{words}" if that is what you want, or leave it out')
        return True

    return parse


def names(value: object, _base: Path) -> frozenset[str]:
    """A list of host names; in a variable, with commas between them."""
    listed = [name.strip() for name in value.split(",")] if isinstance(value, str) else value
    if not isinstance(listed, list) or not all(isinstance(name, str) and _NAME.fullmatch(name) for name in listed):
        raise ValueError('write host names without port, for example ["backbone.example", "gateway"]')
    return frozenset(name.lower() for name in listed)


def one_of(choices: Iterable[_Word]) -> Parse:
    """One of a few words, as it stands among ``choices``."""
    words = tuple(choices)

    def parse(value: object, _base: Path) -> _Word:
        for word in words:
            if word == value:
                return word
        raise ValueError(f"write one of {', '.join(words)}{nearest(str(value), words)}")

    return parse


def lasting(least: timedelta, most: timedelta) -> Parse:
    """A duration between the two."""

    def parse(value: object, base: Path) -> timedelta:
        found = duration(value, base)
        if not least <= found <= most:
            raise ValueError(f"write a duration from {least.total_seconds():g} to {most.total_seconds():g} seconds")
        return found

    return parse


def some_of(choices: Iterable[str]) -> Parse:
    """A list of some of a few words."""
    one = one_of(choices)

    def parse(value: object, base: Path) -> frozenset[str]:
        if not isinstance(value, list) or not value:
            raise ValueError('write a list, for example ["http"]')
        return frozenset(one(item, base) for item in value)

    return parse


def path(value: object, base: Path) -> Path:
    """A file or folder; a relative one starts from the settings file's folder, from the environment the working folder."""
    return (base / Path(text(value, base)).expanduser()).resolve()


def url(*schemes: str) -> Parse:
    """Address of an engine of one of these schemes. The message never repeats it: it may hold a password."""

    def parse(value: object, base: Path) -> Url:
        written = text(value, base)
        scheme, separator, rest = written.partition("://")
        scheme, plus, driver = scheme.partition("+")
        if not separator or scheme not in schemes:
            examples = " or ".join(_EXAMPLES[known] for known in schemes)
            raise ValueError(f"write {examples}{nearest(scheme, schemes)}")
        if plus and (scheme, driver) != ("postgresql", "psycopg"):
            raise ValueError(f"write {_EXAMPLES[scheme]}: no other driver is spoken")
        if scheme != "sqlite":
            if not Url(written).parts.hostname and not Url(written).parts.query:
                raise ValueError(f"write {_EXAMPLES[scheme]}")
            return Url(written)
        if len(rest) < 2 or not rest.startswith("/"):
            raise ValueError(f"write {_EXAMPLES[scheme]}, with three slashes before the file")
        return sqlite_url(path(rest[1:], base))

    return parse


_EXAMPLES = {
    "sqlite": "sqlite:///folder/log.db",
    "kafka": "kafka://host:9092",
    "postgresql": "postgresql://host/database",
}


def sqlite_url(file: Path) -> Url:
    """The address of an embedded engine whose file is ``file``, an absolute path."""
    return Url(f"sqlite:///{file}")


def nearest(word: str, known: Iterable[str]) -> str:
    """`` (did you mean …?)`` when a known word is close to ``word``, else nothing."""
    from difflib import get_close_matches  # only a fault needs it, and every command imports this module

    by_lower = {each.lower(): each for each in known}
    close = [by_lower[each] for each in get_close_matches(word.lower(), by_lower, n=1)]
    return f" (did you mean {close[0]}?)" if close else ""
