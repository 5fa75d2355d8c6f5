"""Converts composite data types of HL7 v2 into those of FHIR: names, addresses, telecoms, people and organisations.

Source: HL7 v2.4 §2.8.51 (XPN), §2.8.48 (XAD), §2.8.52 (XTN), §2.8.49 (XCN), §2.8.50 (XON); the v2-to-FHIR maps of HL7.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from adapters.hl7v2.text.memory import remembered
from adapters.hl7v2.text.syntax import Syntax
from schemas.fhir.bundle import Resource
from schemas.fhir.codes import GMC_NUMBER, GMP_NUMBER
from schemas.identifiers import ODS_ORGANIZATION, ods_code
from schemas.resources.person import address, contact_point, human_name

_PADDING = [""] * 13
"""The longest of these types, XTN, has 12 components."""

NAME_USES: Mapping[str, str] = MappingProxyType(
    {"L": "official", "D": "usual", "A": "nickname", "N": "nickname", "M": "maiden", "B": "old", "S": "anonymous"}
)
"""XPN-7 to the use of a name; an alias (``A``) becomes a nickname. Any other type, or none, gives no use."""
ADDRESS_USES: Mapping[str, str] = MappingProxyType(
    {"H": "home", "L": "home", "P": "home", "B": "work", "O": "work", "C": "temp", "BA": "old"}
)
"""XAD-7 to the use of an address."""
PHONE_USES: Mapping[str, str] = MappingProxyType({"PRN": "home", "ORN": "home", "VHN": "home", "WPN": "work", "BPN": "work"})
"""XTN-2 to the use of a telecom; without it the field decides (PID-13 home, PID-14 work)."""
PHONE_SYSTEMS: Mapping[str, str] = MappingProxyType(
    {"FX": "fax", "BP": "pager", "INTERNET": "email", "X.400": "email", "MD": "other"}
)
"""XTN-3, in capitals, to the system of a telecom; any other is a phone."""
MOBILE = "CP"


def components(syntax: Syntax, sent: str) -> list[str]:
    """The text of each component, padded to at least 13; of sub-components (FN, SAD, HD) the first that is not empty."""
    if syntax.sub in sent:
        return [next(filter(None, syntax.subs(part)), "") for part in syntax.components(sent)] + _PADDING
    return [*map(syntax.text, sent.split(syntax.component)), *_PADDING]


def name(syntax: Syntax, sent: str) -> Resource | None:
    """A name (XPN); middle names are given names too."""
    parts = components(syntax, sent)
    given = [parts[1], *parts[2].split()] if parts[1] else parts[2].split()
    return human_name(parts[0], given, NAME_USES.get(parts[6], ""), parts[4], parts[3])


def postal_address(syntax: Syntax, sent: str) -> Resource | None:
    """An address (XAD)."""
    parts = components(syntax, sent)
    return address((parts[0], parts[1]), parts[2], parts[3] or parts[8], parts[4], parts[5], ADDRESS_USES.get(parts[6], ""))


def telecoms(syntax: Syntax, sent: str, use: str) -> list[Resource]:
    """The telephone number and the e-mail address of one XTN; ``use`` is the use that its field implies.

    Some systems write both into one: ``01632960123^PRN^PH^ada@example.org``.
    """
    parts = components(syntax, sent)
    use = PHONE_USES.get(parts[1], use)
    number = parts[0] or parts[11] or " ".join(filter(None, parts[4:7]))
    system = PHONE_SYSTEMS.get(parts[2].upper(), "phone")
    beside = "phone" if system == "email" and parts[3] else system  # XTN-3 then describes the e-mail address
    mobile = "mobile" if parts[2] == MOBILE else use
    return [
        contact_point("email", value, use) if "@" in value else contact_point(kind, value, mobile)
        for value, kind in {number: beside, parts[3]: system}.items()
        if value
    ]


@remembered(4096)
def professional(syntax: Syntax, sent: str) -> Resource | None:
    """A clinician (XCN) as a Reference, which is shared and must not be changed.

    Cached, because all messages of a hospital name the same few hundred people.
    """
    parts = components(syntax, sent)
    display = " ".join(filter(None, (parts[5], parts[2], parts[1])))
    reference: Resource = {}
    if parts[0]:
        reference["identifier"] = _national(parts[0])
    if display:
        reference["display"] = display
    return reference or None


def _national(code: str) -> Resource:
    """The code of a consultant is ``C`` and the GMC number, of a GP ``G`` and seven digits; some systems write lower case."""
    upper = code.upper()
    system = {"C": GMC_NUMBER, "G": GMP_NUMBER}.get(upper[0], "") if len(upper) == 8 and upper[1:].isdigit() else ""
    return {"system": system, "value": upper} if system else {"value": code}


@remembered(4096)
def general_practice(syntax: Syntax, practice: str, doctor: str) -> list[Resource]:
    """The GP and the practice: PD1-3 (XON) and PD1-4 (XCN) as References, which are shared and must not be changed.

    Some systems send the practice's code in PD1-4 too, beside the doctor's: ``G9146958~W95295``.
    """
    found = [_practice(components(syntax, one)) for one in syntax.repetitions(practice)]
    for one in syntax.repetitions(doctor):
        code = components(syntax, one)[0]
        found.append(_practice(["", "", code, *_PADDING]) if _is_practice(code) else professional(syntax, one))
    unique: list[Resource] = []
    for reference in found:
        if reference and not any(_same(reference, known) for known in unique):
            unique.append(reference)
    return unique


def _practice(parts: list[str]) -> Resource | None:
    """A practice (XON). Its code is component 3; since v2.5, component 10."""
    reference: Resource = {}
    code = parts[2] or parts[9]
    if code:
        ods = ods_code(code)
        reference["identifier"] = {"system": ODS_ORGANIZATION, "value": str(ods)} if ods else {"value": code}
    if parts[0]:
        reference["display"] = parts[0]
    return reference or None


def _is_practice(code: str) -> bool:
    """Whether ``code`` is a letter and five digits; a doctor's has seven digits.

    Source: NHS Data Dictionary, GENERAL MEDICAL PRACTICE CODE.
    """
    return len(code) == 6 and code[0].isalpha() and code[1:].isdigit()


def _same(one: Resource, other: Resource) -> bool:
    return "identifier" in one and one["identifier"] == other.get("identifier")
