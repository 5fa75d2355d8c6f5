"""Finds the record that a row belongs to, and builds the Patient that the row describes."""

from __future__ import annotations

from adapters.identity import RefusalWords, record_named
from adapters.tabular.cache import CellCache
from adapters.tabular.expressions import dates
from adapters.tabular.expressions.dates import ImpossibleError
from adapters.tabular.expressions.functions import text_of
from adapters.tabular.mapping.load import Mapping
from adapters.tabular.rows.layout import FLAT, Row, named
from adapters.translator import Arrival
from schemas.errors import InvalidValue
from schemas.fhir.bundle import Resource, patient_reference
from schemas.fhir.proven import proven
from schemas.identifiers import LocalId, RecordKey, nhs_number
from schemas.resources.person import local_identifier, nhs_number_identifier, unchecked_number_identifier

_BETWEEN = "|"
"""Separates the parts of a record identifier made of several columns; doubled inside a part, so that no two people share one.
"""
_NOBODY = "nothing says whose record the row is"


class RowPerson:
    """The person a row belongs to: record key, Patient and flags."""

    __slots__ = ("flags", "key", "known", "patient", "reference")

    def __init__(self, key: RecordKey, patient: Resource, flags: tuple[str, ...] = ()) -> None:
        self.key = key
        self.reference = patient_reference(key)
        self.patient = patient
        self.flags = flags
        self.known = proven(patient)


class People:
    """The people in the rows of one arrival. Rows with the same cells about the person share one `RowPerson`."""

    def __init__(self, mapping: Mapping, arrival: Arrival) -> None:
        self._mapping = mapping
        self._arrival = arrival
        self._today = arrival.received_at.astimezone(dates.LONDON).date().isoformat()
        own = mapping.person.columns
        self._columns = named([*mapping.record, *filter(None, [mapping.nhs_number])])
        whose = None if own is None else {*own, *mapping.record, mapping.nhs_number} - {""}
        self._kept = CellCache[RowPerson](whose if mapping.layout.kind in FLAT else None)

    def of(self, row: Row) -> RowPerson:
        """The person ``row`` belongs to. Raises `InvalidValue`, `MissingIdentifier`."""
        return self._kept.of(row.cells, lambda: self._read(row))

    def called(self, local: LocalId) -> RowPerson:
        """Another person, known only by the source's identifier in the row."""
        source = self._arrival.source
        key = self._arrival.pseudonyms.record(source.id, local)
        return RowPerson(key, {"resourceType": "Patient", "identifier": [local_identifier(source, local)]})

    def _read(self, row: Row) -> RowPerson:
        local, column = local_id(row, self._mapping.record), self._mapping.nhs_number
        text = _text(row, column) if column else ""
        number = nhs_number(text) if text else None
        invalid = [f'column "{column}"'] if text and not number else ()
        words = RefusalWords(f"{row.position}, {self._columns}", _NOBODY, _NOBODY)
        key, identifiers, flags = record_named(self._arrival, local, [number] if number else (), invalid, words)
        if number:
            identifiers.append(nhs_number_identifier(number, "", self._arrival.source))
        elif text:
            identifiers.append(unchecked_number_identifier(text))
        return RowPerson(key, self._patient(row, identifiers), tuple(flags))

    def _patient(self, row: Row, identifiers: list[Resource]) -> Resource:
        mapping = self._mapping
        try:
            patient = mapping.patient(mapping.person.scope(row.cells))
        except (InvalidValue, ImpossibleError) as error:
            raise mapping.person.blame(row.cells, error, row.position) from None
        patient["identifier"] = [*identifiers, *patient.get("identifier", ())]
        for leaf in mapping.birth:
            value = patient.get(leaf.target.removeprefix("patient."))
            if isinstance(value, str) and value[:10] > self._today:
                raise leaf.fault("is a date in the future", row.position)
        return patient


def local_id(row: Row, columns: tuple[str, ...]) -> LocalId | None:
    """The identifier made from these columns; ``None`` unless every one of them has a value."""
    texts = [_text(row, column) for column in columns]
    if len(texts) > 1:
        texts = [text.replace(_BETWEEN, _BETWEEN * 2) for text in texts]
    return LocalId(_BETWEEN.join(texts)) if texts and all(texts) else None


def _text(row: Row, column: str) -> str:
    """An identifying cell as text."""
    try:
        return text_of(row.cells.get(column))
    except ImpossibleError as impossible:
        raise InvalidValue(f"the value {impossible}", where=f'{row.position}, column "{column}"') from None
