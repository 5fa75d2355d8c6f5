"""The sources in force: one mapping, shared by everything that needs them, which changes as a whole while a server runs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from gateway.settings.shapes import SourceSettings
from schemas.source import Source


class DeclaredSources(Mapping[str, SourceSettings]):
    """By id, in the order of the settings. Any thread may read it while another changes it."""

    def __init__(self, sources: Mapping[str, SourceSettings]) -> None:
        self._sources = sources

    def take(self, sources: Mapping[str, SourceSettings]) -> None:
        """Put these sources into force, and no others."""
        self._sources = sources

    def __getitem__(self, source: str) -> SourceSettings:
        return self._sources[source]

    def __iter__(self) -> Iterator[str]:
        return iter(self._sources)

    def __len__(self) -> int:
        return len(self._sources)


class SourceDirectory(Mapping[str, Source]):
    """The same sources without their doors, as the consumers know them."""

    def __init__(self, declared: DeclaredSources) -> None:
        self._declared = declared

    def __getitem__(self, source: str) -> Source:
        return self._declared[source].source

    def __iter__(self) -> Iterator[str]:
        return iter(self._declared)

    def __len__(self) -> int:
        return len(self._declared)
