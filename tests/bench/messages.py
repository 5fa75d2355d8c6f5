"""A realistic stream of HL7 v2 messages: people admitted, moved, updated and discharged, all invented."""

from __future__ import annotations

from collections.abc import Iterator

_STEPS = (("A01", "ADT_A01"), ("A08", "ADT_A01"), ("A02", "ADT_A02"), ("A03", "ADT_A03"))
_FAMILIES = ("Ashdown", "Birchwood", "Caldwell", "Dunmore", "Eastleigh", "Fairbourne", "Greaves", "Holloway")
_GIVEN = ("Ada", "Bernard", "Clara", "Douglas", "Edith", "Frank", "Gwen", "Harold")


_PERSON = b"PID|1||"


def person(message: bytes) -> bytes:
    """The hospital's number of whom a message is about: what its key is made of, found without parsing."""
    start = message.index(_PERSON) + len(_PERSON)
    return message[start : message.index(b"^", start)]


def check_digit(nine: str) -> str | None:
    """The Modulus 11 check digit of nine digits, or ``None`` when there is none."""
    digit = (11 - sum((10 - place) * int(figure) for place, figure in enumerate(nine)) % 11) % 11
    return None if digit == 10 else str(digit)


def numbers(first: int = 0) -> Iterator[str]:
    """NHS numbers of the 999 test range from its serial ``first`` on, without repetition, up to a million."""
    for serial in range(999_000_000 + first, 1_000_000_000):
        digit = check_digit(str(serial))
        if digit:
            yield f"{serial}{digit}"


def messages(count: int, run: str = "B", facility: str = "RX1", first: int = 0) -> Iterator[bytes]:
    """``count`` messages, four to a visit, one visit to a person, from person ``first`` on; ``run`` keeps the control ids of
    two runs apart.
    """
    made = 0
    for person, number in enumerate(numbers(2 * first), first):
        for step, (trigger, structure) in enumerate(_STEPS):
            if made == count:
                return
            yield _message(person, number, step, trigger, structure, run, facility)
            made += 1


def _message(person: int, number: str, step: int, trigger: str, structure: str, run: str, facility: str) -> bytes:
    day, hour, minute = 1 + person % 27, person // 27 % 24, person // 648 % 60
    at = f"202603{day:02d}{hour:02d}{minute:02d}{10 + step}"
    family, given = _FAMILIES[person % 8], _GIVEN[person // 8 % 8]
    ward = ("AMU^Bay 2^Bed 5", "AMU^Bay 2^Bed 6", "KM^Bay 1^Bed 2", "KM^Bay 1^Bed 2")[step]
    leaving = "|||||||||||||||||1|19|||||||" if trigger == "A03" else "|||||||||||||||||||||||||"
    admitted = f"202603{day:02d}{hour:02d}{minute:02d}10"
    return (
        f"MSH|^~\\&|PAS|{facility}|ROUTE|ROUTE|{at}||ADT^{trigger}^{structure}|{run}{person:07d}{step}|P|2.4"
        "|||||GBR|UNICODE UTF-8|EN||ITKv1.0\r"
        f"EVN||{at}||||{at}\r"
        f"PID|1||NF{person:07d}^^^{facility}^MR~{number}^^^NHS^NH||{family}^{given}^^^Mx^^L"
        f"||19{30 + person % 60}0{1 + person % 9}1{person % 9}|{1 + person % 2}"
        f"|||{1 + person % 200} Orchard Rise^^Northfield^^NF4 2QZ^^H||01632960{person % 1000:03d}^PRN^PH"
        "|||W||||||||||||||N||NSTS01\r"
        f"PD1|||Orchard Surgery^^C81999|G9999981^Okafor^Ada^^^Dr\r"
        f"PV1|1|I|{ward}^{facility}|21|||C9999971^Lindqvist^Maja^^^Dr|||||||19||N"
        f"|||NF-V-{person:07d}{leaving}{admitted}" + (f"|{at}" if trigger == "A03" else "") + "\rPV2|||^Fall at home\r"
    ).encode()
