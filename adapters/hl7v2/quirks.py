"""What the NHS's systems write where the standard says something else, or nothing: tables, each row seen in real samples.

Source: HSCIC ITK HL7 V2 Message Specifications 1.0.15 (CX, PID-32); HL7 v2.4 table 0203 (Identifier type).
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

NHS_AUTHORITIES = frozenset({"NHS", "NHSNBR", "NHSNUMBER", "NHS NUMBER", "NSTS", "2.16.840.1.113883.2.1.4.1"})
"""CX-4 in capitals when the identifier is an NHS number. The ITK's is ``NHS``; the last is the number's OID."""
NHS_TYPES = frozenset({"NH", "NHS", "NI", "NNGBR"})
"""CX-5 when it is one and CX-4 is empty: ``1000000001^^^^NH``; ``NI`` is what PIMS writes."""

LOCAL_TYPES = ("MR", "PI", "PT")
"""CX-5 of a hospital number, the best first; without one of them it is the first identifier that can be one."""
NO_RECORD_TYPES = frozenset({"AN", "BC", "DL", "EI", "PPN", "SS", "VN", "XX"})
"""CX-5 of what identifies no hospital record: accounts, bank cards, licences, employees, passports, visits."""

VERIFICATION: Mapping[str, str] = MappingProxyType(
    {f"{prefix}0{status}": f"0{status}" for prefix in ("NSTS", "") for status in range(1, 9)}
)
"""PID-32 to the verification status of the NHS number: ``NSTS01`` and plain ``01``. PIMS writes it in CX-2: ``^03^^^NI``."""

UNRELIABLE: Mapping[str, str] = MappingProxyType({"UD": "PID-7", "UA": "PID-11"})
"""PID-32 to the field that it says holds a default and not what is known: nobody may be matched on it."""

SENSITIVE_VIP: Mapping[str, str] = MappingProxyType({"S": "V", "Y": "R"})
"""PV1-16 to the confidentiality it asks for: ``S`` sensitive on the Personal Demographics Service, ``Y`` a stop noted."""
LOCATION_HIDING: Mapping[str, str] = MappingProxyType({"1": "V", "2": "V"})
"""ZU8-4: hidden locally, or nationally by an S-flag."""

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
"""PID-8: the NHS's digits (9: cannot be classified as either) and HL7's letters."""
