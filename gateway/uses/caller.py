"""Who asks: the first argument of everything that can be asked here."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Caller:
    """One who asks. What they may see is decided by what stands here, and by nothing else."""

    name: str
    """What they are called where it is said who asked."""


OPERATOR = Caller(name="operator")
"""Whoever can run commands where the backbone's files are: they could read those as well."""
OPEN_ON_LOOPBACK = Caller(name="open on loopback")
"""Whoever reaches the HTTP door while no client is declared."""
