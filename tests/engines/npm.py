"""Files of npm packages that tests compare with: fetched once into ``.cache``, checked, never part of the project."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import tarfile
from pathlib import Path
from typing import NamedTuple

CACHE = Path(__file__).parents[2] / ".cache" / "npm"
FETCH_WITHIN_S = 120


class Packed(NamedTuple):
    """One file of one version of a package."""

    package: str
    """Name and exact version: ``@asyncapi/specs@6.11.1``."""
    member: str
    """Its path in the archive."""
    sha256: str
    """So that what is compared with is what was looked at."""


ASYNCAPI_3 = Packed(
    "@asyncapi/specs@6.11.1",
    "package/schemas/3.0.0.json",
    "d4571a420e6ffb7fcc7066c95a6db1202f299a3c51daa103d0706bf30f95e626",
)


def available(packed: Packed) -> bool:
    """Whether the file is in the cache or can be fetched: without npm it cannot."""
    return _cached(packed).exists() or shutil.which("npm") is not None


def fetch(packed: Packed) -> Path:
    """The file, fetched with ``npm pack`` the first time.

    Raises `RuntimeError` when it is not the file whose checksum stands above.
    """
    found = _cached(packed)
    if not found.exists():
        found.parent.mkdir(parents=True, exist_ok=True)
        found.write_bytes(_member(_archive(packed), packed.member))
    if hashlib.sha256(found.read_bytes()).hexdigest() != packed.sha256:
        raise RuntimeError(f"{found.name} is not the file of {packed.package} that was looked at; remove {CACHE} and try again")
    return found


def _cached(packed: Packed) -> Path:
    return CACHE / packed.package / Path(packed.member).name


def _archive(packed: Packed) -> Path:
    folder = _cached(packed).parent
    command = ["npm", "pack", "--silent", "--pack-destination", str(folder), packed.package]
    packing = subprocess.run(command, capture_output=True, text=True, check=True, timeout=FETCH_WITHIN_S, cwd=folder)
    return folder / packing.stdout.split()[-1]


def _member(archive: Path, member: str) -> bytes:
    with tarfile.open(archive) as content:
        file = content.extractfile(member)
        if file is None:
            raise RuntimeError(f"{archive.name} holds no {member}")
        return file.read()
