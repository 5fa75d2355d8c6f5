"""Where a server may listen, and that it is alone on its folder."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from gateway.serving.listen import AddressInUseError, NotLoopbackError, address_of, listen
from gateway.serving.locks import AlreadyServingError, hold_roles
from gateway.settings.values import Address
from schemas.errors import SettingsError


@pytest.mark.parametrize("host", ["127.0.0.1", "127.1.2.3", "localhost"])
def test_a_door_may_listen_on_this_machine(host: str) -> None:
    with listen("http", Address(host, 0)) as bound:
        assert address_of(bound).port > 0


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1", "::ffff:192.0.2.1"])
def test_a_door_may_listen_nowhere_else(host: str) -> None:
    with pytest.raises(NotLoopbackError) as caught:
        listen("http", Address(host, 8080))
    assert "access control" in caught.value.message
    assert host in caught.value.where


def test_a_host_without_an_address_is_said() -> None:
    with pytest.raises(SettingsError, match="no address"):
        listen("http", Address("no-such-host.invalid", 8080))


def test_an_address_in_use_is_said() -> None:
    with listen("http", Address("127.0.0.1", 0)) as bound, pytest.raises(AddressInUseError) as caught:
        listen("mllp", address_of(bound))
    assert caught.value.where.startswith("mllp")


def test_who_connects_before_the_door_is_ready_waits() -> None:
    with listen("http", Address("127.0.0.1", 0)) as bound, socket.create_connection(bound.getsockname(), timeout=5) as peer:
        accepted, _ = bound.accept()
        with accepted:
            accepted.sendall(b"ready")
            assert peer.recv(5) == b"ready"


def test_a_second_server_of_a_role_is_refused_and_told_who_is_first(tmp_path: Path) -> None:
    with (
        hold_roles([tmp_path], ["intake", "gateway"]),
        pytest.raises(AlreadyServingError) as caught,
        hold_roles([tmp_path], ["projections", "intake"]),
    ):
        pass
    assert "process " in caught.value.message
    assert "serve-intake.lock" in caught.value.where


def test_two_servers_may_share_a_folder_in_different_roles(tmp_path: Path) -> None:
    with hold_roles([tmp_path], ["intake"]), hold_roles([tmp_path], ["projections"]):
        assert {path.name for path in tmp_path.glob("*.lock")} == {"serve-intake.lock", "serve-projections.lock"}


def test_a_server_that_was_refused_holds_nothing(tmp_path: Path) -> None:
    with hold_roles([tmp_path], ["projections"]):
        with pytest.raises(AlreadyServingError), hold_roles([tmp_path], ["gateway", "projections"]):
            pass
        with hold_roles([tmp_path], ["gateway"]):
            pass


def test_a_role_is_free_again_after_its_server(tmp_path: Path) -> None:
    for _ in range(2):
        with hold_roles([tmp_path / "new"], ["gateway"]):
            assert (tmp_path / "new" / "serve-gateway.lock").exists()
