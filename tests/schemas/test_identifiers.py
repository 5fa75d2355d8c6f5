"""Identifiers: what is one, and what only looks like one."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from nhs_number.validate import calculate_checksum

from schemas.identifiers import NhsNumber, OdsCode, nhs_number, ods_code

NHS_NUMBERS = [
    ("9990000018", "9990000018"),
    ("999 000 0018", "9990000018"),
    ("999-000-0018", "9990000018"),
    (" 999 0000018 ", "9990000018"),
    ("9990000019", None),
    ("9990000000", None),
    ("999000001", None),
    ("99900000180", None),
    ("", None),
    ("          ", None),
    ("999000001X", None),
    ("9990000018\n", None),
    ("999\u00a0000\u00a00018", None),
    ("999.000.0018", None),
    ("+9990000018", None),
    ("９９９０００００１８", None),
    ("٩٩٩٠٠٠٠٠١٨", None),
    ("²²²²²²²²²²", None),
]


@pytest.mark.parametrize(("text", "expected"), NHS_NUMBERS)
def test_an_nhs_number_is_ten_ascii_digits_with_the_right_check_digit(text: str, expected: str | None) -> None:
    assert nhs_number(text) == expected


@pytest.mark.parametrize("digit", "0123456789")
def test_a_repeated_digit_is_a_placeholder_although_it_passes_the_check(digit: str) -> None:
    assert calculate_checksum(digit * 9) == int(digit), "the check digit alone lets it pass"
    assert nhs_number(digit * 10) is None


def test_a_check_digit_of_ten_can_never_be_right() -> None:
    without = [start for start in (f"9990000{number:02d}" for number in range(100)) if calculate_checksum(start) == 10]
    assert without, "one first nine in eleven has none"
    assert not any(nhs_number(start + last) for start in without for last in "0123456789")


@given(st.from_regex(r"[0-9]{9}", fullmatch=True))
def test_the_nhs_number_package_computes_the_same_check_digit(start: str) -> None:
    right = [last for last in "0123456789" if nhs_number(start + last)]
    assert right == [str(digit) for digit in [calculate_checksum(start)] if digit != 10 and set(start) != {str(digit)}]


@given(st.text(max_size=20))
def test_any_text_is_a_number_or_none(text: str) -> None:
    number = nhs_number(text)
    assert number is None or (isinstance(number, NhsNumber) and number.isascii() and number.isdigit() and len(number) == 10)


ODS_CODES = [
    ("RX1", "RX1"),
    ("rx1", "RX1"),
    (" E10000099 ", "E10000099"),
    ("Y90001", "Y90001"),
    ("RX", None),
    ("A" * 13, None),
    ("R X1", None),
    ("RX-1", None),
    ("", None),
    ("straße", None),
    ("ﬁ1", None),
    ("RX１", None),
]


@pytest.mark.parametrize(("text", "expected"), ODS_CODES)
def test_an_ods_code_is_three_to_twelve_ascii_letters_and_digits_in_upper_case(text: str, expected: str | None) -> None:
    assert ods_code(text) == expected
    assert expected is None or isinstance(ods_code(text), OdsCode)
