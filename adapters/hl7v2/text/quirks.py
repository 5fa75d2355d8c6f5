"""Tables of what NHS systems write where the standard says something else or nothing. Each row was seen in real samples.

Source: HSCIC ITK HL7 V2 Message Specifications 1.0.15 (CX, PID-32); HL7 v2.4 table 0203 (Identifier type).
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

NHS_AUTHORITIES = frozenset({"NHS", "NHSNBR", "NHSNUMBER", "NHS NUMBER", "NSTS", "2.16.840.1.113883.2.1.4.1"})
"""Values of CX-4, in capitals, that mean an NHS number. The ITK writes ``NHS``; the last is the OID of NHS numbers."""
NHS_TYPES = frozenset({"NH", "NHS", "NI", "NNGBR"})
"""Values of CX-5 that mean an NHS number, whatever CX-4 says: ``1000000001^^^^NH``. PIMS writes ``NI``."""

LOCAL_TYPES = ("MR", "PI", "PT")
"""Values of CX-5 that mean a hospital number, best first. Without one of them, the first identifier that may be one is used."""
NO_RECORD_TYPES = frozenset({"AN", "BC", "DL", "EI", "PPN", "SS", "VN", "XX"})
"""Values of CX-5 that never identify a hospital record: accounts, bank cards, licences, employees, passports, visits."""

VERIFICATION: Mapping[str, str] = MappingProxyType(
    {f"{prefix}0{status}": f"0{status}" for prefix in ("NSTS", "") for status in range(1, 9)}
)
"""PID-32 to the verification status of the NHS number: ``NSTS01`` and plain ``01``. PIMS writes it in CX-2: ``^03^^^NI``."""

UNRELIABLE: Mapping[str, str] = MappingProxyType({"UD": "PID-7", "UA": "PID-11"})
"""PID-32 to the field that holds a default value according to it, so that nobody may be matched on that field."""

SENSITIVE_VIP: Mapping[str, str] = MappingProxyType({"S": "V", "Y": "R"})
"""PV1-16 to confidentiality: ``S`` is flagged sensitive on the Personal Demographics Service, ``Y`` has a stop noted."""
LOCATION_HIDING: Mapping[str, str] = MappingProxyType({"1": "V", "2": "V"})
"""ZU8-4 to confidentiality: the location is hidden locally (1), or nationally by an S-flag (2)."""

GENDERS: Mapping[str, str] = MappingProxyType(
    {
        "0": "unknown",
        "1": "male",
        "2": "female",
        "9": "other",
        "M": "male",
        "F": "female",
        "U": "unknown",
        "O": "other",
        "A": "other",
        "N": "other",
        "I": "other",
        "X": "unknown",
    }
)
"""PID-8 to gender: the digits of the NHS (9: not classifiable as either) and the letters of HL7."""
