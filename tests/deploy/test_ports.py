"""Ports for servers that are started later."""

from __future__ import annotations

from deploy.local.ports import free_port


def test_no_port_is_given_twice() -> None:
    assert len({free_port() for _ in range(1_000)}) == 1_000
