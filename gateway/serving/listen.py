"""Where doors may listen, and the sockets on which they do.

A socket listens from the moment it is bound. Two programs can bind one port as long as neither listens, so the conflict would
otherwise show only after the start. Clients that connect early wait in the backlog until the door is ready.
"""

from __future__ import annotations

import errno
import ipaddress
import socket
import sys
from typing import NamedTuple

from gateway.settings.values import Address
from schemas.errors import SettingsError

BACKLOG = 1024
"""Most connections waiting to be accepted: after a restart all of a site's interface engines reconnect at once."""


class NotLoopbackError(SettingsError):
    """A door may listen on this machine alone until access control exists."""

    code = "not-loopback"
    cure = (
        "Use 127.0.0.1, [::1] or localhost: whoever could reach another address could read every timeline. "
        "Inside a private network, docs/settings.md (listen_beyond_loopback) says what to spell out."
    )


class PublicAddressError(SettingsError):
    """A door may not listen on a public address before access control exists."""

    code = "public-address"
    cure = "Use an address of the private network: the whole internet could read every timeline."


class AddressInUseError(SettingsError):
    """Another program listens there."""

    code = "address-in-use"
    cure = "Stop it, or choose another port."


class Place(NamedTuple):
    """Where a door may listen."""

    family: socket.AddressFamily
    name: tuple[str, int]
    """As `socket.bind` takes it."""
    beyond_loopback: bool
    """Whether other machines can reach it."""


class Bound(NamedTuple):
    """The listening sockets that one process was given."""

    http: socket.socket | None = None
    mllp: socket.socket | None = None
    health: socket.socket | None = None

    @property
    def sockets(self) -> list[socket.socket]:
        return [one for one in self if one is not None]


def resolve(door: str, address: Address, *, beyond_loopback: bool = False) -> Place:
    """Where ``door`` is to be bound. With ``beyond_loopback`` the operator lets other machines reach it.

    Raises `NotLoopbackError` when an address of the host can be reached by other machines and may not be; `PublicAddressError`
    when one is public, whatever the operator said; `SettingsError` when the host has no address.
    """
    try:
        found = socket.getaddrinfo(address.host, address.port, type=socket.SOCK_STREAM)
    except socket.gaierror:
        raise SettingsError("this host has no address", where=f"{door} {address}", cure="Correct the host's name.") from None
    hosts = [str(name[0]) for *_, name in found]
    addresses = [ipaddress.ip_address(host.partition("%")[0]) for host in hosts]
    beyond = not all(one.is_loopback for one in addresses)
    if beyond and not beyond_loopback:
        raise NotLoopbackError(where=f"{door} {address}")
    if any(one.is_global for one in addresses):
        raise PublicAddressError(where=f"{door} {address}")
    return Place(found[0][0], (hosts[0], address.port), beyond)


def listen(door: str, address: Address, *, beyond_loopback: bool = False) -> socket.socket:
    """The listening socket of ``door``. Raises what `resolve` does, and `AddressInUseError`."""
    return listen_side_by_side(door, address, 1, beyond_loopback=beyond_loopback)[0]


def listen_side_by_side(door: str, address: Address, takers: int, *, beyond_loopback: bool = False) -> list[socket.socket]:
    """A listening socket of ``door`` for each of its ``takers``. Raises what `resolve` does, and `AddressInUseError`.

    Linux spreads connections evenly over sockets that share a port (SO_REUSEPORT); of one socket, shared, the first process to
    wake would take all that come at once. Elsewhere it is one socket all the same. What waits in a socket is lost with its last
    holder only, so somebody who does not take should hold them all.

    Source: socket(7), SO_REUSEPORT.
    """
    family, name, _ = resolve(door, address, beyond_loopback=beyond_loopback)
    first = _socket(family)
    bound = [first]
    try:
        first.bind(name)
        if takers > 1 and sys.platform == "linux":
            # Only now: the first must have met every other program on this port, a backbone's too.
            first.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
            for _ in range(takers - 1):
                bound.append(_socket(family))
                bound[-1].setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
                bound[-1].bind(first.getsockname())
        for one in bound:
            one.listen(BACKLOG)
    except OSError as error:
        for one in bound:
            one.close()
        if error.errno == errno.EADDRINUSE:
            raise AddressInUseError(where=f"{door} {address}") from None
        cure = "A port below 1024 needs special rights; choose a higher one."
        raise SettingsError(f"cannot listen: {error.strerror}", where=f"{door} {address}", cure=cure) from None
    return bound + [first.dup() for _ in range(takers - len(bound))]


def _socket(family: socket.AddressFamily) -> socket.socket:
    made = socket.socket(family, socket.SOCK_STREAM)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    return made


def address_of(bound: socket.socket) -> Address:
    """Where ``bound`` listens, with the actual port."""
    host, port = bound.getsockname()[:2]
    return Address(host, port)
