"""The MLLP door as others see it: python-hl7's sender, openssl, and TLS bound to a source."""

from __future__ import annotations

import asyncio
import ssl
import sys
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path

import pytest

from adapters.sources import mllp_tls
from adapters.sources.mllp_send import MllpSender, Patience
from schemas.arrival import quarantine
from schemas.arrival.quarantine import KeptPart
from schemas.errors import ReceiverUnavailable, SettingsError
from schemas.log import EVENTS, QUARANTINE
from tests.certificates import Authority, Pair
from tests.memory_log import MemoryLog
from tests.mllp_door import Door, admission, answered, framed, listening
from tests.patience import PATIENCE_S

MLLP_SEND = Path(sys.executable).with_name("mllp_send")
"""Console script of the ``hl7`` package."""


async def run(*command: str | Path, given: bytes = b"") -> bytes:
    """What a program prints."""
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(*map(str, command), stdin=pipe, stdout=pipe, stderr=pipe)
    async with asyncio.timeout(PATIENCE_S):
        out, _ = await process.communicate(given)
    return out


@pytest.mark.asyncio
async def test_python_hl7s_sender_is_answered(tmp_path: Path) -> None:
    file = tmp_path / "messages.hl7"
    file.write_bytes(b"".join(framed(admission(f"M{n}", record=f"NF{n}")) for n in range(3)))
    async with listening() as door:
        out = await run(MLLP_SEND, "--port", str(door.listener.address[1]), "--file", file, "127.0.0.1")
        assert [f"MSA|AA|M{n}".encode() in out for n in range(3)] == [True] * 3
        assert len(memory(door).all(EVENTS)) == 3


@pytest.mark.asyncio
async def test_python_hl7s_sender_reading_lines_of_any_kind_is_answered(tmp_path: Path) -> None:
    file = tmp_path / "messages.hl7"
    file.write_bytes(admission("M1").replace(b"\r", b"\r\n"))
    async with listening() as door:
        out = await run(MLLP_SEND, "--loose", "--port", str(door.listener.address[1]), "--file", file, "127.0.0.1")
        assert b"MSA|AA|M1" in out


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


def memory(door: Door) -> MemoryLog:
    assert isinstance(door.log, MemoryLog)
    return door.log


def kept_by(door: Door) -> list[KeptPart]:
    records = [quarantine.decode(record.value) for record in memory(door).all(QUARANTINE)]
    return [record for record in records if isinstance(record, KeptPart)]


def context(authority: Authority, mutual: bool = False) -> ssl.SSLContext:
    server = authority.server()
    return mllp_tls.listening(server.certificate, server.key, authority.certificate if mutual else None)


def s_client(door: Door, authority: Authority, shown: Pair | None = None) -> Sequence[str | Path]:
    """openssl as a sender that waits for what comes back."""
    address = "{}:{}".format(*door.listener.address)
    trust = ("-CAfile", authority.certificate, "-verify_return_error", "-verify_hostname", "localhost")
    show = ("-cert", shown.certificate, "-key", shown.key) if shown else ()
    return ("openssl", "s_client", "-quiet", "-connect", address, *trust, *show)


async def over_openssl(door: Door, authority: Authority, message: bytes, shown: Pair | None = None) -> bytes:
    """The framed answer that openssl gets; empty when it is closed without one."""
    pipe = asyncio.subprocess.PIPE
    command = map(str, s_client(door, authority, shown))
    process = await asyncio.create_subprocess_exec(*command, stdin=pipe, stdout=pipe, stderr=asyncio.subprocess.DEVNULL)
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(framed(message))
    try:
        async with asyncio.timeout(PATIENCE_S):
            return (await process.stdout.readuntil(b"\x1c\r"))[1:-2]
    except (asyncio.IncompleteReadError, ConnectionError):
        return b""
    finally:
        process.stdin.close()
        if process.returncode is None:
            process.terminate()
        await process.wait()


@pytest.mark.asyncio
async def test_openssl_is_answered_over_tls(authority: Authority) -> None:
    async with listening(tls=context(authority)) as door:
        assert answered(await over_openssl(door, authority, admission("M1"))) == ("AA", "M1")


@pytest.mark.asyncio
async def test_where_certificates_are_asked_for_openssl_without_one_gets_nowhere(authority: Authority) -> None:
    async with listening(tls=context(authority, mutual=True)) as door:
        assert await over_openssl(door, authority, admission("M1")) == b""
        assert memory(door).all(EVENTS) == []


@pytest.mark.parametrize(
    ("name", "alternatives"),
    [("Southmere", ["mail.southmere.test", "PAS.southmere.test"]), ("pas.southmere.test", [])],
    ids=["alternative name", "common name only"],
)
@pytest.mark.asyncio
async def test_a_source_bound_to_a_certificate_is_taken_in_with_it(
    authority: Authority, name: str, alternatives: list[str]
) -> None:
    async with listening(tls=context(authority, mutual=True)) as door:
        shown = authority.client(name, alternatives)
        assert answered(await over_openssl(door, authority, admission("M1", facility="RX2"), shown)) == ("AA", "M1")
        assert len(memory(door).all(EVENTS)) == 1


@pytest.mark.parametrize(
    ("name", "alternatives"),
    [("pas.northfield.test", ["pas.northfield.test"]), ("pas.southmere.test", ["other.test"])],
    ids=["another's", "its own as common name, beside another's as alternative"],
)
@pytest.mark.asyncio
async def test_another_senders_certificate_does_not_do_and_the_message_is_kept_apart(
    authority: Authority, name: str, alternatives: list[str]
) -> None:
    async with listening(tls=context(authority, mutual=True)) as door:
        shown = authority.client(name, alternatives)
        assert answered(await over_openssl(door, authority, admission("M1", facility="RX2"), shown)) == ("AR", "M1")
        assert [(kept.source, kept.code) for kept in kept_by(door)] == [("unknown-mllp", "wrong-certificate")]
        assert memory(door).all(EVENTS) == []


@pytest.mark.asyncio
async def test_our_own_sender_speaks_tls_and_shows_its_certificate(authority: Authority) -> None:
    shown = authority.client("Southmere", ["pas.southmere.test"])
    async with listening(tls=context(authority, mutual=True)) as door:
        tls = mllp_tls.sending(authority.certificate, *shown)
        async with MllpSender(*door.listener.address, tls=tls, server_name="localhost") as sender:
            assert answered(await sender.send(admission("M1", facility="RX2"))) == ("AA", "M1")


@pytest.mark.asyncio
async def test_our_own_sender_trusts_no_stranger(authority: Authority, tmp_path_factory: pytest.TempPathFactory) -> None:
    stranger = Authority(tmp_path_factory.mktemp("stranger"))
    async with listening(tls=context(stranger)) as door:
        async with MllpSender(
            *door.listener.address, tls=mllp_tls.sending(authority.certificate), server_name="localhost"
        ) as one:
            with pytest.raises(ReceiverUnavailable, match="not trusted"):
                await one.send(admission("M1"))
        assert memory(door).all(EVENTS) == []


@pytest.mark.asyncio
async def test_a_sender_without_tls_gets_no_answer_from_a_tls_door(authority: Authority) -> None:
    async with listening(tls=context(authority)) as door:
        patience = Patience(answer=timedelta(seconds=0.3), total=timedelta(seconds=0.5))
        async with MllpSender(*door.listener.address, patience=patience) as sender:
            with pytest.raises(ReceiverUnavailable):
                await sender.send(admission("M1"))


def told_by(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.name == "adapters.sources.mllp"]


@pytest.mark.asyncio
async def test_an_operator_hears_why_a_sender_without_a_certificate_gets_nowhere(
    authority: Authority, caplog: pytest.LogCaptureFixture
) -> None:
    async with listening(tls=context(authority, mutual=True)) as door:
        await over_openssl(door, authority, admission("M1"))
        await door.until("tls-failed")
    [told] = told_by(caplog)
    assert "tls-failed from a peer that is not known yet (it showed no certificate)" in told
    assert "mllp_tls" in told


@pytest.mark.asyncio
async def test_an_operator_hears_that_a_certificate_is_of_a_stranger(
    authority: Authority, tmp_path_factory: pytest.TempPathFactory, caplog: pytest.LogCaptureFixture
) -> None:
    shown = Authority(tmp_path_factory.mktemp("stranger")).client("pas", ["pas.southmere.test"])
    async with listening(tls=context(authority, mutual=True)) as door:
        await over_openssl(door, authority, admission("M1", facility="RX2"), shown)
        await door.until("tls-failed")
    assert "its certificate is not to be trusted: " in told_by(caplog)[0]


@pytest.mark.asyncio
async def test_an_operator_hears_that_a_sender_speaks_no_tls(authority: Authority, caplog: pytest.LogCaptureFixture) -> None:
    async with listening(tls=context(authority)) as door:
        _, writer = await asyncio.open_connection(*door.listener.address)
        writer.write(framed(admission("M1")))
        await door.until("tls-failed")
        writer.close()
    assert "(it does not speak TLS)" in told_by(caplog)[0]


@pytest.mark.parametrize("missing", ["certificate", "key", "authorities"])
def test_a_file_that_cannot_be_used_is_named(authority: Authority, tmp_path: Path, missing: str) -> None:
    server = authority.server()
    files = {"certificate": server.certificate, "key": server.key, "authorities": authority.certificate}
    files[missing].write_bytes(b"not a certificate")
    with pytest.raises(SettingsError, match="cannot be used") as caught:
        mllp_tls.listening(files["certificate"], files["key"], files["authorities"])
    assert str(tmp_path) in caught.value.where
