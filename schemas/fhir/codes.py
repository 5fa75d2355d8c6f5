"""Code systems and the small value sets of health and care, each with its source and with words a person can read.

A `CodeList` turns a code into a CodeableConcept: the code and its system for machines, and plain words for the timeline's
sentences. The official displays run to fifty words; serving those is left to the code system.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from schemas.fhir.bundle import Resource

UK_CORE_CODES = "https://fhir.hl7.org.uk/CodeSystem/UKCore-"
TERMINOLOGY = "http://terminology.hl7.org/CodeSystem/"

ACT_CODE = TERMINOLOGY + "v3-ActCode"
NULL_FLAVOR = TERMINOLOGY + "v3-NullFlavor"
PARTICIPATION = TERMINOLOGY + "v3-ParticipationType"
IDENTIFIER_TYPE = TERMINOLOGY + "v2-0203"
PLACE_TYPE = TERMINOLOGY + "location-physical-type"
RELATIONSHIP = TERMINOLOGY + "v2-0063"
TREATMENT_FUNCTION = "https://fhir.nhs.uk/CodeSystem/NHSDataModelAndDictionary-treatment-function"
GMC_NUMBER = "https://fhir.hl7.org.uk/Id/gmc-number"
GMP_NUMBER = "https://fhir.hl7.org.uk/Id/gmp-number"
_CODE_LENGTH = 4
"""Longest text, in characters, taken for a code: some systems send words in the place of a code."""


class CodeList:
    """The codes of one system with plain words for each; ``""`` where a sentence reads better without any."""

    __slots__ = ("_concepts", "system", "words")

    def __init__(self, system: str, words: Mapping[str, str]) -> None:
        self.system = system
        self.words: Mapping[str, str] = MappingProxyType(dict(words))
        self._concepts = {code: _concept(system, code, text) for code, text in words.items()}

    def __contains__(self, code: str) -> bool:
        return code in self._concepts

    def concept(self, code: str) -> Resource:
        """The CodeableConcept of ``code``. All callers share it, so it must not be changed.

        An unknown code is given without the system, or as text when it looks like words.
        """
        return self._concepts.get(code) or ({"text": code} if len(code) > _CODE_LENGTH else {"coding": [{"code": code}]})


def _concept(system: str, code: str, text: str) -> Resource:
    concept: Resource = {"coding": [{"system": system, "code": code}]}
    return concept | {"text": text} if text else concept


ADMISSION_METHOD = CodeList(
    UK_CORE_CODES + "AdmissionMethodEngland",
    {
        "11": "from the waiting list",
        "12": "booked",
        "13": "planned",
        "21": "emergency, from the emergency department",
        "22": "emergency, sent by a GP",
        "23": "emergency, through a bed bureau",
        "24": "emergency, from a clinic",
        "25": "emergency, through the mental health crisis team",
        "2A": "emergency, from another hospital's emergency department",
        "2B": "emergency, from another hospital",
        "2C": "emergency, baby born at home as intended",
        "2D": "emergency",
        "28": "emergency",
        "31": "before giving birth",
        "32": "after giving birth",
        "81": "from another hospital",
        "82": "born here",
        "83": "born outside hospital",
        "98": "",
        "99": "",
    },
)
"""How an admission came about. Source: NHS Data Dictionary, ADMISSION METHOD CODE (HOSPITAL PROVIDER SPELL)."""

SOURCE_OF_ADMISSION = CodeList(
    UK_CORE_CODES + "SourceOfAdmissionEngland",
    {
        "19": "own home",
        "29": "a temporary home",
        "39": "prison, court or police station",
        "40": "prison",
        "41": "court",
        "42": "police station",
        "49": "a high security hospital",
        "51": "another hospital",
        "52": "another hospital's maternity or neonatal ward",
        "53": "another hospital's mental health ward",
        "54": "an NHS care home",
        "55": "a care home with nursing",
        "56": "a care home",
        "65": "a council care home",
        "66": "foster care",
        "79": "born here",
        "85": "a care home",
        "87": "an independent hospital",
        "88": "a hospice",
        "98": "",
        "99": "",
    },
)
"""Where somebody was admitted from. Source: NHS Data Dictionary, SOURCE OF ADMISSION CODE (HOSPITAL PROVIDER SPELL)."""

DISCHARGE_METHOD = CodeList(
    UK_CORE_CODES + "DischargeMethodEngland",
    {
        "1": "on clinical advice",
        "2": "left on their own decision",
        "3": "by a tribunal or court",
        "4": "died",
        "5": "stillborn",
        "6": "left on their own decision",
        "7": "taken home by a relative or advocate",
        "8": "",
        "9": "",
    },
)
"""How a stay ended; 2 is the code that 6 and 7 replaced.
Source: NHS Data Dictionary, DISCHARGE METHOD CODE (HOSPITAL PROVIDER SPELL)."""

DISCHARGED_DEAD = "4"
"""The discharge method that says the person died. Stillbirth (5) is left out: it is about the child, whose record this may not
be."""

DISCHARGE_DESTINATION = CodeList(
    UK_CORE_CODES + "DischargeDestinationEngland",
    {
        "19": "own home",
        "29": "a temporary home",
        "30": "another secure hospital",
        "37": "court",
        "38": "prison or police station",
        "48": "a high security hospital in Scotland",
        "49": "a high security hospital",
        "50": "a medium secure unit",
        "51": "another hospital",
        "52": "another hospital's maternity or neonatal ward",
        "53": "another hospital's mental health ward",
        "54": "an NHS care home",
        "55": "a care home with nursing",
        "56": "a care home",
        "65": "a council care home",
        "66": "foster care",
        "79": "",
        "84": "a medium secure unit",
        "85": "a care home",
        "87": "an independent hospital",
        "88": "a hospice",
        "98": "",
        "99": "",
    },
)
"""Where somebody went. Source: NHS Data Dictionary, DESTINATION OF DISCHARGE CODE (HOSPITAL PROVIDER SPELL)."""

DESTINATION_DEAD = "79"
"""The destination that says the person died or was stillborn."""

ETHNIC_CATEGORY = CodeList(
    UK_CORE_CODES + "EthnicCategoryEngland",
    {
        "A": "White - British",
        "B": "White - Irish",
        "C": "White - Any other White background",
        "D": "Mixed - White and Black Caribbean",
        "E": "Mixed - White and Black African",
        "F": "Mixed - White and Asian",
        "G": "Mixed - Any other mixed background",
        "H": "Asian or Asian British - Indian",
        "J": "Asian or Asian British - Pakistani",
        "K": "Asian or Asian British - Bangladeshi",
        "L": "Asian or Asian British - Any other Asian background",
        "M": "Black or Black British - Caribbean",
        "N": "Black or Black British - African",
        "P": "Black or Black British - Any other Black background",
        "R": "Other Ethnic Groups - Chinese",
        "S": "Other Ethnic Groups - Any other ethnic group",
        "Z": "Not stated",
        "99": "Not known",
    },
)
"""Source: NHS Data Dictionary, ETHNIC CATEGORY."""

MARITAL_STATUS = CodeList(
    UK_CORE_CODES + "PersonMaritalStatusEngland",
    {
        "S": "Single",
        "M": "Married or civil partner",
        "D": "Divorced or civil partnership dissolved",
        "W": "Widowed or surviving civil partner",
        "P": "Separated",
        "N": "Not disclosed",
    },
)
"""Source: NHS Data Dictionary, PERSON MARITAL STATUS."""

RELATIONSHIPS: Mapping[str, str] = MappingProxyType(
    {
        "1": "spouse",
        "2": "partner",
        "3": "parent",
        "4": "next of kin",
        "5": "guardian",
        "6": "foster parent",
        "7": "step parent",
        "8": "polygamous partner",
        "9": "child",
        "10": "dependant",
        "11": "non-dependant",
        "12": "mother",
        "13": "father",
        "14": "sister",
        "15": "brother",
        "16": "relative",
        "17": "proxy, contact",
        "18": "proxy, communication",
        "19": "proxy, contact and communication",
        "20": "carer",
        "21": "self",
        "22": "wife",
        "23": "husband",
        "AUN": "aunt",
        "BRO": "brother",
        "CGV": "carer",
        "CHD": "child",
        "DAU": "daughter",
        "DEP": "dependant",
        "DOM": "partner",
        "EMC": "emergency contact",
        "EXF": "extended family",
        "FCH": "foster child",
        "FND": "friend",
        "FTH": "father",
        "GCH": "grandchild",
        "GRD": "guardian",
        "GRP": "grandparent",
        "MGR": "manager",
        "MTH": "mother",
        "NBR": "neighbour",
        "NCH": "natural child",
        "PAR": "parent",
        "SCH": "stepchild",
        "SIB": "sibling",
        "SIS": "sister",
        "SON": "son",
        "SPO": "spouse",
        "TRA": "trainer",
        "WRD": "ward of court",
    }
)
"""What somebody's contact is to them: the NHS's codes are numbers, HL7's are letters. Source: Personal Demographics Service,
RELATIONSHIP TYPE; HL7 v2.4 table 0063 (Relationship)."""
