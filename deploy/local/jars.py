"""Kafka's jars, resolved once and checked against a committed list, so that what runs is what was looked at.

``python -m deploy.local.jars`` writes the list anew after the version below was changed.
"""

from __future__ import annotations

import fcntl
import hashlib
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

KAFKA = "org.apache.kafka:kafka_2.13:4.1.0"
TOOLS = "org.apache.kafka:kafka-tools:4.1.0"
"""The commands of Kafka's own `bin/`: what operators type, and a consumer that knows nothing of the backbone."""
LOGGING = "org.slf4j:slf4j-simple:1.7.36"
"""Without a binding a failed start says nothing; Kafka 4 speaks slf4j 1.7."""
CHECKSUMS = Path(__file__).with_name("kafka-jars.sha256")
CACHE = Path(__file__).parents[2] / ".cache" / "kafka"


def class_path() -> str:
    """The class path of Kafka's tools and broker; fetches the jars the first time (about 45 MB).

    Raises `RuntimeError` naming the jar that is not the one of the list.
    """
    jars = _resolve()
    wanted = dict(line.split("  ")[::-1] for line in CHECKSUMS.read_text().splitlines())
    for jar in jars:
        if wanted.get(jar.name) != _sha256(jar):
            raise RuntimeError(f"{jar.name} is not the jar listed in {CHECKSUMS.name}; remove {CACHE} and try again")
    return ":".join(str(folder / "*") for folder in sorted({jar.parent for jar in jars}))


def _resolve() -> list[Path]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # platformdirs warns about a missing XDG_RUNTIME_DIR, which nothing here uses
        import jgo

        with alone("lock"):
            environment = jgo.build(f"{KAFKA}+{TOOLS}+{LOGGING}", cache_dir=CACHE)
    # Some jars land in `jars`, those with a module name in `modules`: both are needed on the class path.
    return sorted(Path(environment.path).glob("*/*.jar"))


@contextmanager
def alone(name: str) -> Iterator[None]:
    """Others that do the thing of this name at the same time wait: two that fill one folder spoil it for each other."""
    CACHE.mkdir(parents=True, exist_ok=True)
    with (CACHE / name).open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # given back when the file is closed
        yield


def _sha256(jar: Path) -> str:
    return hashlib.sha256(jar.read_bytes()).hexdigest()


if __name__ == "__main__":
    CHECKSUMS.write_text("".join(f"{_sha256(jar)}  {jar.name}\n" for jar in _resolve()))
    sys.stdout.write(f"wrote {CHECKSUMS.name}\n")
