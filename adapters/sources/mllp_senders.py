"""Finds the source of a message, by a table of the senders' MSH-3, MSH-4 and client certificates.

Source: HL7 v2 chapter 2, MSH-3 (sending application) and MSH-4 (sending facility); docs/promises.md, P1.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from schemas.errors import RejectedInput, SettingsError, UnknownSender, WrongCertificate
from schemas.source import Sector, Source

UNKNOWN = Source(id="unknown-mllp", name="Unknown sender over MLLP", sector=Sector.NHS)
"""The source under which messages are kept that no declared source sent, or that came without its certificate. It has no
events."""


class MllpSource(NamedTuple):
    """How one source identifies itself over MLLP. A source that sends under several names has several entries."""

    source: Source
    sending_application: str = ""
    """MSH-3, its first component. Empty: any."""
    sending_facility: str = ""
    """MSH-4, its first component. Empty: any."""
    certificate: str = ""
    """Name (alternative DNS name, or common name) in the sender's client certificate. Empty: no certificate is required."""


class Senders:
    """Finds the source of a message.

    An entry with both fields takes precedence over one with only the application, then comes one with only the facility, then
    one with neither.

    Raises `SettingsError` when two entries name the same sender, or one has the id of `UNKNOWN`.
    """

    def __init__(self, sources: Iterable[MllpSource]) -> None:
        self._table: dict[tuple[str, str], MllpSource] = {}
        for entry in sources:
            name = (entry.sending_application, entry.sending_facility)
            if name in self._table:
                other = self._table[name].source.id
                raise SettingsError(f"{entry.source.id} and {other} match the same MLLP messages", where="match")
            if entry.source.id == UNKNOWN.id:
                raise SettingsError(f"a source must not have the id {UNKNOWN.id}", where="id")
            self._table[name] = entry

    def find(self, application: str, facility: str) -> MllpSource | None:
        """The entry for MSH-3 ``application`` and MSH-4 ``facility``."""
        table = self._table
        return (
            table.get((application, facility))
            or table.get((application, ""))
            or table.get(("", facility))
            or table.get(("", ""))
        )

    def identify(self, application: str, facility: str, certificate: frozenset[str]) -> tuple[Source, RejectedInput | None]:
        """The source of a message whose sender has a certificate with these names, or `UNKNOWN` and why."""
        found = self.find(application, facility)
        if found is None:
            return UNKNOWN, UnknownSender(where="MSH-3, MSH-4")
        if found.certificate and found.certificate.lower() not in certificate:
            return UNKNOWN, WrongCertificate(f"the client certificate is not that of {found.source.id}", where="MSH-3, MSH-4")
        return found.source, None


def names_in(certificate: Mapping[str, Any] | None) -> frozenset[str]:
    """The names in a peer's certificate, in lower case; none without a certificate.

    ``certificate`` is the result of ``ssl.SSLSocket.getpeercert``. The common name counts only if there is no alternative name,
    as for host names.

    Source: RFC 6125 §6.4.4.
    """
    if not certificate:
        return frozenset()
    alternatives = [value.lower() for kind, value in certificate.get("subjectAltName", ()) if kind == "DNS"]
    common = [value.lower() for part in certificate.get("subject", ()) for key, value in part if key == "commonName"]
    return frozenset(alternatives or common)
