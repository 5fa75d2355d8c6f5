"""Finds the translator for some content by its media type.

Source: application/hl7-v2, HL7 v2 over HTTP; RFC 4180 §3 (text/csv); RFC 8259 §11; FHIR R4 §3.1.0.1.10; CloudEvents HTTP §3.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from types import MappingProxyType

from adapters.translator import Translator
from schemas.errors import Unsupported
from schemas.source import Source

OWN = "own"
"""The format that the source's settings name."""
MAPPING = "mapping"
"""The source's own mapping file."""
HL7V2 = "hl7v2"
FHIR = "fhir"
CLOUDEVENTS = "cloudevents"
JSON = "json"
"""The format that the source's settings name, if it can be written in JSON, which HL7 v2 cannot."""

FORMATS: Mapping[str, str] = MappingProxyType(
    {
        "": OWN,
        "application/octet-stream": OWN,
        "text/plain": OWN,
        "application/hl7-v2": HL7V2,
        "application/hl7-v2+er7": HL7V2,
        "x-application/hl7-v2+er7": HL7V2,
        "text/hl7v2": HL7V2,
        "text/csv": MAPPING,
        "application/csv": MAPPING,
        "text/tab-separated-values": MAPPING,
        "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet": MAPPING,
        "application/vnd.ms-excel": MAPPING,
        "application/vnd.oasis.opendocument.spreadsheet": MAPPING,
        "application/json": JSON,
        "application/x-ndjson": MAPPING,
        "application/ndjson": MAPPING,
        "application/x-www-form-urlencoded": MAPPING,
        "application/fhir+json": FHIR,
        "application/cloudevents+json": CLOUDEVENTS,
        "application/cloudevents-batch+json": CLOUDEVENTS,
    }
)
"""Media type, without its parameters, to format. Types that name no format mean the one in the source's settings."""


_FHIR_VERSION = re.compile(r"""fhirversion\s*=\s*"?\s*(?P<version>[^\s";]*)""")
FHIR_VERSION = "4.0"
"""The FHIR that is read and written: R4."""


def of_r4(media_type: str) -> bool:
    """Whether the parameters say ``fhirVersion=4.0``, or name no version.

    Source: FHIR R4 RESTful API §3.1.0.1.12: the parameter is the version's publication, major and minor.
    """
    found = _FHIR_VERSION.search(media_type.partition(";")[2].lower())
    return found is None or found["version"] == FHIR_VERSION or found["version"].startswith(f"{FHIR_VERSION}.")


class Registry:
    """Finds the translator for what a source sends.

    ``own``: source id to the translator that the source's settings name, which is its mapping or one of ``formats``.
    ``formats``: the translators that serve every source, ``hl7v2``, ``fhir`` and ``cloudevents``.
    """

    def __init__(self, own: Mapping[str, Translator], formats: Mapping[str, Translator] | None = None) -> None:
        self._formats = dict(formats or {})
        self.renew(own)

    def renew(self, own: Mapping[str, Translator]) -> None:
        """Use ``own`` from now on. Content in progress is finished by the translator it began with."""
        shared = [id(translator) for translator in self._formats.values()]
        self._own = dict(own)
        self._mappings = {source: translator for source, translator in own.items() if id(translator) not in shared}

    def own(self, source: str) -> Translator | None:
        """The translator that the settings of this source name."""
        return self._own.get(source)

    def translator(self, source: Source, media_type: str) -> Translator:
        """The translator for content of ``media_type`` (parameters ignored) from ``source``.

        Raises `Unsupported` when there is none; the message names the media type only if it is one we know.
        """
        kind = media_type.partition(";")[0].strip().lower()
        wanted = FORMATS.get(kind)
        if wanted == FHIR and not of_r4(media_type):
            raise Unsupported("no translator reads this version of FHIR", cure=f"Send FHIR R4 (fhirVersion={FHIR_VERSION}).")
        if wanted is None:
            named = "XML" if kind.endswith(("/xml", "+xml")) else "the media type it was sent as"
            raise Unsupported(f"no translator reads {named}", cure=self._cure(source))
        found = self._find(wanted, source.id)
        if found is None:
            named = kind or "content without a media type"
            raise Unsupported(f"{source.id} reads no {named}", cure=self._cure(source))
        return found

    def _cure(self, source: Source) -> str:
        """What to send instead: the media types that the source's own translator reads."""
        own = self._own.get(source.id)
        if own is None:
            return "Say in backbone.toml what the source `reads`."
        names = [name for name, wanted in FORMATS.items() if wanted != OWN and self._find(wanted, source.id) is own]
        return f"Send it as {', '.join(names)}, or without a media type: then it is read as what {source.id} reads."

    def _find(self, wanted: str, source: str) -> Translator | None:
        own = self._own.get(source)
        if wanted == OWN or (wanted == JSON and own is not self._formats.get(HL7V2)):
            return own
        if wanted == MAPPING:
            return self._mappings.get(source)
        return self._formats.get(wanted)
