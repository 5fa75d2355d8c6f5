"""Whether everything acknowledged so far has been projected.

A server says how far it is behind as of its last measurement, up to a second ago and on a busy machine far longer: what was
acknowledged since then is not in it.
"""

from __future__ import annotations

import json
import re
import urllib.error
import urllib.request

_WITHIN_S = 10.0


def caught_up(address: str, since: float) -> bool:
    """Whether the server at ``address`` (``http://127.0.0.1:12345``) is ready, and was behind with nothing when it measured
    after ``since`` (seconds since 1970)."""
    try:
        measured = re.search(r"^backbone_measured_timestamp_seconds (\S+)", _asked(address, "/metrics"), re.MULTILINE)
        if measured is None or float(measured[1]) <= since:
            return False
        behind = json.loads(_asked(address, "/health/ready"))["behind"]
    except OSError:
        return False
    return bool(behind) and all(lag["events"] == 0 for lag in behind.values())


def _asked(address: str, path: str) -> str:
    with urllib.request.urlopen(f"{address}{path}", timeout=_WITHIN_S) as answer:
        return str(answer.read().decode())
