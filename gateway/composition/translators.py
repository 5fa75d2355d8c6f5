"""Which translator reads each source: the third part of the composition root, which names the translators and nothing else.

Heavy modules are imported by the function that needs them.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache, lru_cache
from typing import TYPE_CHECKING

from gateway.settings.mapping import mapping_text
from gateway.settings.shapes import SourceSettings
from schemas.errors import MappingError

if TYPE_CHECKING:
    from adapters.translator import Translator


@cache
def formats() -> Mapping[str, Translator]:
    """The translators that serve every source."""
    from adapters.cloudevents import CloudEventsTranslator
    from adapters.fhir.translate import FhirTranslator
    from adapters.hl7v2.translate import Hl7v2Translator

    return {"hl7v2": Hl7v2Translator(), "fhir": FhirTranslator(), "cloudevents": CloudEventsTranslator()}


def translators(sources: Mapping[str, SourceSettings]) -> tuple[dict[str, Translator], list[MappingError]]:
    """The translator of each source by its id, and the faults in the mapping files of sources that have none."""
    found: dict[str, Translator] = {}
    wrong: list[MappingError] = []
    for name, source in sources.items():
        try:
            found[name] = translator(source)
        except MappingError as error:
            wrong.append(error)
    return found, wrong


def translator(source: SourceSettings) -> Translator:
    """The translator of ``source``. Raises `MappingError`."""
    if source.mapping is None:
        return formats()[source.reads]
    return _mapped(mapping_text(source.mapping), str(source.mapping))


@lru_cache(256)
def _mapped(text: str, name: str) -> Translator:
    """The translator for the mapping ``text``. Cached, so that an unchanged mapping gives the same translator."""
    from adapters.tabular.mapping.load import load_mapping
    from adapters.tabular.translate import TabularTranslator

    return TabularTranslator(load_mapping(text, name))
