"""An identity that the data folder remembers: which log was taken in to, which ledger was written."""

from __future__ import annotations

import os
from pathlib import Path
from typing import NamedTuple

from gateway.serving.locks import PRIVATE


class RememberedIdentity(NamedTuple):
    """One of them."""

    file: Path

    def known(self) -> str:
        """The identity; empty when none was noted."""
        return self.file.read_text().strip() if self.file.is_file() else ""

    def note(self, identity: str) -> None:
        """Remember it, unless one is known. Raises ``OSError`` when the folder cannot be written to."""
        if not identity or self.known():
            return
        self.file.parent.mkdir(mode=PRIVATE, parents=True, exist_ok=True)
        draft = self.file.with_name(f".{self.file.name}-{os.getpid()}")  # another process may note it just now
        draft.write_text(f"{identity}\n")
        draft.rename(self.file)
