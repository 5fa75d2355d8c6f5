"""The names by which requests may address this server.

Another site can make its own name resolve to an address in here (DNS rebinding), and its pages could then read whatever the
user's browser can reach. Such a request has that site's name in its Host header, never an address. So allowed names are
listed, and addresses are accepted once anybody but this machine may ask.

Source: RFC 9110 §7.2 (Host).
"""

from __future__ import annotations

import contextlib
import ipaddress
from collections.abc import Iterable

from gateway.settings.shapes import Settings
from gateway.settings.values import Address

LOOPBACK_NAMES = frozenset({"127.0.0.1", "[::1]", "localhost"})
"""What a request on this machine calls it by."""


class HostNames:
    """The names to answer to; with ``addresses``, every IP address as well."""

    def __init__(self, names: Iterable[str], *, addresses: bool) -> None:
        self._names = frozenset(names)
        self._addresses = addresses

    def __contains__(self, name: object) -> bool:
        return name in self._names or (self._addresses and _is_address(str(name)))


def host_names(settings: Settings, address: Address) -> HostNames:
    """What a door that listens on ``address`` answers to."""
    own = str(address).rpartition(":")[0].lower()
    return HostNames({*LOOPBACK_NAMES, own, *settings.http_names}, addresses=settings.listen_beyond_loopback)


def _is_address(name: str) -> bool:
    with contextlib.suppress(ValueError):
        ipaddress.ip_address(name.removeprefix("[").removesuffix("]"))
        return True
    return False
