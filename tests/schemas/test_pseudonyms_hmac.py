"""The keys are HMAC-SHA-256, as an independent implementation makes it."""

from __future__ import annotations

import hmac

import pytest

from schemas.identifiers import LocalId
from schemas.pseudonyms import Pseudonyms


@pytest.mark.parametrize("length", [32, 63, 64, 65, 200])
def test_a_key_is_the_beginning_of_the_hmac_whatever_the_length_of_the_secret(length: int) -> None:
    secret = bytes(range(length))
    said = hmac.digest(secret, b"6:record14:northfield-pas8:NF204417", "sha256").hex()
    assert Pseudonyms(secret).record("northfield-pas", LocalId("NF204417")) == said[:32]
