"""``backbone demo``: the bundled samples through the real doors, and the timeline they make.

It is a client like any other: it starts ``backbone serve`` as a separate process on free ports and talks to it over MLLP, a
drop folder and HTTP. It prints what the gateway answered. The environment's settings are ignored, because they may name the
engines of a real backbone.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import shlex
import shutil
import signal
import socket
import sys
import urllib.error
import urllib.request
from collections.abc import AsyncIterator, Callable, Iterator
from importlib.resources import files
from pathlib import Path
from typing import Any

from adapters.sources.mllp_send import send
from gateway.terminal.show import json_line, timeline_table
from schemas.errors import BackboneError, EngineUnavailable
from schemas.identifiers import NHS_NUMBER

SAMPLES = files("gateway") / "samples"
PERSON = "9990000018"
"""NHS number of the invented person the samples are about, from the 999 range, which is never issued."""
DEADLINE_S = 30.0
"""Longest wait for one step, in seconds; a laptop needs about three for all of them."""
_MARK = ".backbone-demo"
"""Marks a folder as made by the demo: only such a folder is emptied when the demo starts afresh."""


class DemoError(BackboneError):
    """The demo could not go on."""

    code = "demo"
    cure = "Look at what the server printed above."


async def demo(folder: Path, *, once: bool, as_json: bool = False) -> None:
    """Run the demo in ``folder``, made afresh; go on serving until Ctrl-C unless ``once``.

    Raises `DemoError` when ``folder`` holds something else, or when a step does not answer in time.
    """
    tell = _quiet if as_json else _tell
    _fresh(folder)
    http, mllp = _free_address(), _free_address()
    tell(f"Starting the backbone in {folder}")
    async with _server(folder, http, mllp) as server:
        await _until("the server is ready", lambda: _get(http, "/health/ready"), server)
        tell(f"It answers at http://{http} and takes HL7 v2 messages at {mllp}.\n")
        await _send_samples(folder, http, mllp, tell)
        person, page = await _until("the timeline is complete", lambda: _timeline(http), server)
        if as_json:
            json_line({"person": person, "http": f"http://{http}", "mllp": mllp, "folder": str(folder), "timeline": page})
        else:
            timeline_table(page)
            tell(_where_next(http, person, folder, once=once))
        if not once:
            await server.wait()


def _tell(line: str) -> None:
    print(line, flush=True)


def _quiet(_line: str) -> None:
    """With ``--json`` only the outcome is printed."""


def _fresh(folder: Path) -> None:
    if folder.exists() and not (folder / _MARK).exists():
        raise DemoError("this folder was not made by the demo", where=str(folder), cure="Name another: --folder.")
    shutil.rmtree(folder, ignore_errors=True)
    (folder / "inbox" / "riverside").mkdir(parents=True)
    (folder / _MARK).touch()
    (folder / "backbone.toml").write_text((SAMPLES / "backbone.toml").read_text())


def _free_address() -> str:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return f"127.0.0.1:{probe.getsockname()[1]}"


@contextlib.asynccontextmanager
async def _server(folder: Path, http: str, mllp: str) -> AsyncIterator[asyncio.subprocess.Process]:
    command = [sys.executable, "-m", "gateway.cli", "serve", "--config", str(folder / "backbone.toml")]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("BACKBONE_")}
    server = await asyncio.create_subprocess_exec(
        *command,
        *("--http", http, "--mllp", mllp),
        env=environment | {"BACKBONE_LOGGING": "warning"},
        stdout=asyncio.subprocess.DEVNULL,
        start_new_session=True,
    )
    loop = asyncio.get_running_loop()
    stops = (signal.SIGINT, signal.SIGTERM)
    for stop in stops:
        loop.add_signal_handler(stop, server.send_signal, signal.SIGTERM)
    try:
        yield server
    finally:
        for stop in stops:
            loop.remove_signal_handler(stop)
        if server.returncode is None:
            server.terminate()
        await server.wait()


async def _send_samples(folder: Path, http: str, mllp: str, tell: Callable[[str], None]) -> None:
    host, port = mllp.split(":")
    async for reply in send(host, int(port), _hospital_messages()):
        if b"MSA|AA|" not in reply:
            raise DemoError("the hospital's message was not accepted")
    tell("sent     4 HL7 v2 messages of Northfield Hospital, over MLLP")

    arriving = folder / "inbox" / "riverside" / "services.csv.part"
    arriving.write_bytes((SAMPLES / "riverside-services.csv").read_bytes())
    arriving.rename(arriving.with_suffix(""))
    tell("dropped  1 service extract of Riverside Council, into a folder")

    sheet = (SAMPLES / "willow-contacts.csv").read_bytes()
    await asyncio.to_thread(_call, http, "/intake/willow-contacts", sheet, "text/csv")
    tell("posted   1 contact sheet of Willow Befriending, over HTTP\n")


def _hospital_messages() -> Iterator[bytes]:
    text = (SAMPLES / "northfield-pas.hl7").read_text()
    for message in text.split("MSH|")[1:]:
        yield ("MSH|" + message).replace("\n", "\r").encode()


def _timeline(http: str) -> tuple[str, dict[str, Any]] | None:
    identifier = json.dumps({"system": NHS_NUMBER, "value": PERSON}).encode()
    found = _call(http, "/people/search", identifier, "application/json")
    if found is None:
        return None
    page = _get(http, f"/people/{found['person']}/timeline?order=oldest")
    sectors = {entry["source"]["sector"] for entry in page["entries"]} if page else set()
    return (found["person"], page) if page and sectors >= {"nhs", "council", "voluntary"} else None


async def _until(what: str, look: Any, server: asyncio.subprocess.Process) -> Any:
    """Whatever ``look`` finds; it is called again until it finds something."""
    try:
        async with asyncio.timeout(DEADLINE_S):
            while not (found := await asyncio.to_thread(look)):
                if server.returncode is not None:
                    raise DemoError("the server stopped")
                await asyncio.sleep(0.05)
            return found
    except TimeoutError:
        raise DemoError(f"waited {DEADLINE_S:.0f} s without success until {what}") from None


def _get(http: str, path: str) -> dict[str, Any] | None:
    return _call(http, path, None, None)


def _call(http: str, path: str, body: bytes | None, media_type: str | None) -> dict[str, Any] | None:
    """The JSON answered; ``None`` while the server is not up or does not know the thing yet."""
    headers = {"Content-Type": media_type} if media_type else {}
    request = urllib.request.Request(f"http://{http}{path}", data=body, headers=headers)
    try:
        with urllib.request.urlopen(request, timeout=DEADLINE_S) as answer:  # noqa: S310 # nosec B310
            found: dict[str, Any] = json.loads(answer.read())
            return found
    except urllib.error.HTTPError as refused:
        if refused.code in (404, 503):
            return None
        raise EngineUnavailable(f"the gateway answered {refused.code}", where=path) from None
    except (urllib.error.URLError, ConnectionError):
        return None


def _where_next(http: str, person: str, folder: Path, *, once: bool) -> str:
    config = f"--config {shlex.quote(str(folder / 'backbone.toml'))}"
    ask = f"""
The person's id is {person}. Look further:
  curl -s 'http://{http}/people/{person}/timeline?kind=service'
  curl -s 'http://{http}/fhir/Patient/{person}/$everything'
  curl -s 'http://{http}/openapi.json'
Ctrl-C stops it. What it holds is kept: start it again with"""
    stopped = f"""
The person's id is {person}. Everything is kept in {folder}. Look further:
  {_command()} timeline {person} {config}
  {_command()} quarantine list {config}
Start it again with"""
    return f"{stopped if once else ask}\n  {_command()} serve {config}\n"


def _command() -> str:
    """How to type ``backbone`` here: it may not be on the PATH."""
    mine = Path(sys.executable).with_name("backbone")
    found = shutil.which("backbone")
    if found and Path(found).resolve() == mine.resolve():
        return "backbone"
    return shlex.quote(str(mine.relative_to(Path.cwd()) if mine.is_relative_to(Path.cwd()) else mine))
