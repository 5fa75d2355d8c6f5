"""Compares this machine's clock with the brokers', by the timestamps that they give to appended records.

A process that takes records in stamps them with its own clock, and has no database whose clock it could compare.
Source: Apache Kafka 4.1, ``message.timestamp.type=LogAppendTime``.
"""

from __future__ import annotations

import logging

LOGGER = logging.getLogger(__name__)

APART_S = 5.0
"""How far the clocks may be apart before a warning."""
_CURE = "Set the clock of whichever is wrong, and keep both set (NTP)."


class BrokersClock:
    """Logs when the clocks differ, and when they agree again."""

    def __init__(self) -> None:
        self._apart = False

    def seen(self, begun: float, appended: float, confirmed: float) -> None:
        """Compare a record that was sent at ``begun`` and confirmed at ``confirmed`` by this machine's clock, and appended at
        ``appended`` by the broker's; all in seconds since 1970."""
        behind, ahead = appended - confirmed, begun - appended
        apart = max(behind, ahead) > APART_S
        if apart and not self._apart:
            side, seconds = ("behind", behind) if behind > ahead else ("ahead of", ahead)
            message = "this machine's clock is %.0f s %s that of Kafka's brokers: times noted here will be wrong. %s"
            LOGGER.warning(message, seconds, side, _CURE)
        elif self._apart and not apart:
            LOGGER.info("this machine's clock agrees with that of Kafka's brokers again")
        self._apart = apart
