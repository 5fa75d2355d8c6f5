"""Where doors may listen, and the sockets they listen on.

A socket listens from the moment it is bound: two programs may bind one port as long as neither listens, and the conflict would
show only after the start. Who connects in between waits in the backlog until the door is ready.
"""

from __future__ import annotations

import errno
import ipaddress
import socket

from gateway.settings.shapes import Address
from schemas.errors import SettingsError

BACKLOG = 1024
"""Connections that wait to be accepted: a site's interface engines all reconnect at once after a restart."""


class NotLoopbackError(SettingsError):
    """A door may listen on this machine alone until access control exists."""

    code = "not-loopback"
    cure = "Use 127.0.0.1, [::1] or localhost: whoever could reach another address could read every timeline."


class AddressInUseError(SettingsError):
    """Another program listens there."""

    code = "address-in-use"
    cure = "Stop it, or choose another port."


def resolve(door: str, address: Address) -> tuple[socket.AddressFamily, tuple[str, int]]:
    """Family and address to bind ``door`` to.

    Raises `NotLoopbackError` when any address of the host is not of this machine; `SettingsError` when the host has none.
    """
    try:
        found = socket.getaddrinfo(address.host, address.port, type=socket.SOCK_STREAM)
    except socket.gaierror:
        raise SettingsError("this host has no address", where=f"{door} {address}", cure="Correct the host's name.") from None
    hosts = [str(name[0]) for *_, name in found]
    if not all(ipaddress.ip_address(host.partition("%")[0]).is_loopback for host in hosts):
        raise NotLoopbackError(where=f"{door} {address}")
    return found[0][0], (hosts[0], address.port)


def listen(door: str, address: Address) -> socket.socket:
    """The listening socket of ``door``. Raises `NotLoopbackError`, `AddressInUseError`, `SettingsError`."""
    family, name = resolve(door, address)
    bound = socket.socket(family, socket.SOCK_STREAM)
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        bound.bind(name)
        bound.listen(BACKLOG)
    except OSError as error:
        bound.close()
        if error.errno == errno.EADDRINUSE:
            raise AddressInUseError(where=f"{door} {address}") from None
        cure = "A port below 1024 needs a special right; another one needs none."
        raise SettingsError(f"cannot listen: {error.strerror}", where=f"{door} {address}", cure=cure) from None
    return bound


def address_of(bound: socket.socket) -> Address:
    """Where it listens, its port known."""
    host, port = bound.getsockname()[:2]
    return Address(host, port)
