"""PgBouncer before a PostgreSQL server, in transaction mode, on a free port. Debian's package ``pgbouncer`` has it."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy.engine import make_url

from tests.patience import eventually

PROGRAM = shutil.which("pgbouncer") or shutil.which("pgbouncer", path="/usr/sbin")


@contextmanager
def pooled(url: str, folder: Path, connections: int) -> Iterator[str]:
    """The URL of the same database by way of a pooler with so few ``connections`` of its own."""
    assert PROGRAM is not None
    server = make_url(url)
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    settings = folder / "pgbouncer.ini"
    settings.write_text(
        f"[databases]\n{server.database} = host={server.host} port={server.port} user={server.username}\n"
        f"[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {port}\nauth_type = any\nunix_socket_dir =\n"
        f"pool_mode = transaction\ndefault_pool_size = {connections}\nmax_client_conn = 100\n"
    )
    # It refuses to run as root.
    process = subprocess.Popen(
        [PROGRAM, "-q", str(settings)],
        user="nobody" if os.geteuid() == 0 else None,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        cwd="/",
    )
    try:
        eventually(lambda: _answers(process, port))
        yield server.set(host="127.0.0.1", port=port).render_as_string(hide_password=False)
    finally:
        process.terminate()
        process.wait(10)


def _answers(process: subprocess.Popen[bytes], port: int) -> bool:
    assert process.poll() is None, "PgBouncer ended"
    with socket.socket() as trial:
        return trial.connect_ex(("127.0.0.1", port)) == 0
