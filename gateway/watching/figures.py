"""What several processes counted, as one: each sends its figures as they are, and whoever is asked adds them up.

A counter never goes back when a process dies: what a process shows, it first writes down. While it is gone that stands for it,
and its successor goes on from there. Only when the whole server starts anew does a counter begin at 0, which Prometheus knows
as a reset.

Source: Prometheus, exposition format 0.0.4; rate(), on counter resets.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

import msgspec
from prometheus_client import CollectorRegistry
from prometheus_client.core import Metric
from prometheus_client.exposition import generate_latest
from prometheus_client.registry import Collector

from gateway.watching.measures import MEASURES, PROCESSES, Across

LOGGER = logging.getLogger("backbone.gateway")

_RISING = ("counter", "histogram")
"""Kinds that are carried on by a successor, and are summed."""
_CREATED = "_created"
"""End of the name of the samples that say when a counter began."""
_OTHERS: Mapping[str, Across] = {
    "process_virtual_memory_bytes": Across.SUM,
    "process_resident_memory_bytes": Across.SUM,
    "process_open_fds": Across.SUM,
    "process_start_time_seconds": Across.LEAST,
    "process_max_fds": Across.LEAST,
}
"""Prometheus's own gauges; what is in neither table says the same everywhere."""
_RULES = {measure.name: measure.across for measure in MEASURES} | dict(_OTHERS)
_COMBINE: Mapping[Across, Callable[[float, float], float]] = {
    Across.SUM: lambda one, other: one + other,
    Across.LEAST: min,
    Across.MOST: max,
}


class Family(msgspec.Struct, array_like=True):
    """One metric and its samples."""

    name: str
    says: str
    kind: str
    samples: list[tuple[str, dict[str, str], float]]


_FAMILIES = msgspec.msgpack.Decoder(list[Family])


def figures(registry: Collector) -> list[Family]:
    """Everything counted in ``registry``."""
    return [
        Family(
            metric.name,
            metric.documentation,
            metric.type,
            [(each.name, each.labels, float(each.value)) for each in metric.samples],
        )
        for metric in registry.collect()
    ]


def silent(processes: int) -> list[Family]:
    """That so many processes did not answer, beside what those that did have counted."""
    return [Family(PROCESSES.name, PROCESSES.says, PROCESSES.kind, [(PROCESSES.name, {"state": "silent"}, processes)])]


def exposition(of_each: Iterable[Iterable[Family]]) -> bytes:
    """The figures of several processes as one text. What comes first decides the order."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Summed(_sums(of_each)))
    return generate_latest(registry)


class _Sum(NamedTuple):
    first: Family
    samples: dict[tuple[str, tuple[tuple[str, str], ...]], float]


def _sums(of_each: Iterable[Iterable[Family]]) -> dict[str, _Sum]:
    sums: dict[str, _Sum] = {}
    for family in (family for one in of_each for family in one):
        samples = sums.setdefault(family.name, _Sum(family, {})).samples
        for name, labels, value in family.samples:
            key = name, tuple(sorted(labels.items()))
            samples[key] = _COMBINE[_rule(family, name)](samples[key], value) if key in samples else value
    return sums


def _rule(family: Family, sample: str) -> Across:
    if sample.endswith(_CREATED):
        return Across.LEAST
    return Across.SUM if family.kind in _RISING else _RULES.get(family.name, Across.MOST)


class _Summed(Collector):
    def __init__(self, sums: Mapping[str, _Sum]) -> None:
        self._sums = sums

    def collect(self) -> Iterator[Metric]:
        for name, (family, samples) in self._sums.items():
            metric = Metric(name, family.says, family.kind)
            for (sample, labels), value in samples.items():
                metric.add_sample(sample, dict(labels), value)
            yield metric


class Counted:
    """What one place in the server has counted, whichever process has held it: written down in ``file`` before it is shown."""

    def __init__(self, registry: Collector, file: Path) -> None:
        self._registry, self._file = registry, file
        self._before = written(file)

    def show(self) -> bytes:
        """The figures, as `read` takes them."""
        sums = _sums((figures(self._registry), self._before))
        shown = [
            Family(name, of.says, of.kind, [(sample, dict(labels), value) for (sample, labels), value in samples.items()])
            for name, (of, samples) in sums.items()
        ]
        content = msgspec.msgpack.encode(shown)
        draft = self._file.with_suffix(".draft")
        try:
            draft.write_bytes(content)
            draft.replace(self._file)
        except OSError as error:
            LOGGER.warning("%s cannot be written (%s): a counter may go back when this process dies", draft, error.strerror)
        return content


def read(shown: bytes) -> list[Family]:
    """What `Counted.show` answered, here or in another process."""
    return _FAMILIES.decode(shown)


def written(file: Path) -> list[Family]:
    """What only rises of what was last shown there; nothing before the first time."""
    return [family for family in read(file.read_bytes()) if family.kind in _RISING] if file.exists() else []
