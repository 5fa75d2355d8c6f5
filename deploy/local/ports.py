"""Ports of the loopback for servers that are started later, and again.

They are taken from below those that the system gives to outgoing connections (Linux: 32768 and above): a port from there may be
somebody's by the time the server listens, or between its end and its next start.
"""

from __future__ import annotations

import random
import socket

LOWEST, HIGHEST = 15_000, 32_000
_CHANCE = random.SystemRandom()
"""Two programs that ask at once get different ones, whatever seeds the random numbers of tests."""
_GIVEN: set[int] = set()
"""Ports given to somebody in this program, who may not listen yet."""


def free_port() -> int:
    """A port that nothing listens on, and that was not given before."""
    while True:
        port = _CHANCE.randint(LOWEST, HIGHEST)
        with socket.socket() as probe:
            if port not in _GIVEN and probe.connect_ex(("127.0.0.1", port)) != 0:
                _GIVEN.add(port)
                return port
