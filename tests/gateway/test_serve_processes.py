"""``backbone serve`` as several processes: one server to whoever sends, asks, operates or stops it."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import tempfile
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import pytest

from gateway.processes.split import AUTO_MOST, processors
from tests.bench.messages import messages, numbers
from tests.command_line import DEADLINE_S, HOSPITAL, Backbone, Server
from tests.patience import eventually

FOUR = {"BACKBONE_PROCESSES": "4"}


@pytest.fixture
def backbone(tmp_path: Path) -> Backbone:
    made = Backbone(tmp_path, FOUR)
    made.settings(HOSPITAL)
    return made


def children(server: Server) -> list[int]:
    pid = server.process.pid
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def alive(pid: int) -> bool:
    try:
        return "\nState:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    except FileNotFoundError:
        return False


def asked(url: str) -> bytes:
    with urllib.request.urlopen(url, timeout=DEADLINE_S) as answer:
        return bytes(answer.read())


def health(server: Server) -> dict[str, Any]:
    try:
        return dict(json.loads(asked(f"{server.http}/health/ready")))
    except urllib.error.HTTPError as refused:
        return dict(json.loads(refused.read()))
    except OSError:
        return {}


def ready(server: Server) -> bool:
    return health(server).get("status") == "ready"


def counted(server: Server, name: str) -> float:
    """The sum of one metric over its labels."""
    text = asked(f"{server.http}/metrics").decode()
    return sum(float(value) for value in re.findall(rf"^{name}(?:{{[^}}]*}})? (\S+)$", text, re.MULTILINE))


def answering(server: Server) -> tuple[float, float]:
    return counted(server, 'backbone_processes{state="answering"}'), counted(server, 'backbone_processes{state="silent"}')


class Line:
    """One sender's connection."""

    def __init__(self, server: Server) -> None:
        self._socket = socket.create_connection(server.mllp, timeout=DEADLINE_S)

    def send(self, content: bytes) -> bytes:
        """Its acknowledgement; empty when there is none."""
        answer = b""
        try:
            self._socket.sendall(b"\x0b" + content + b"\x1c\r")
            while not answer.endswith(b"\x1c\r"):
                piece = self._socket.recv(65536)
                if not piece:
                    return b""
                answer += piece
        except ConnectionError:
            return b""
        return answer

    def close(self) -> None:
        self._socket.close()


def sent_until_acknowledged(server: Server, content: bytes) -> bytes:
    """As an interface engine does: again, on a new connection, until there is an answer."""

    def attempt() -> bytes:
        line = Line(server)
        answer = line.send(content)
        line.close()
        return answer

    answer: bytes = eventually(attempt)
    return answer


def timeline(server: Server, number: str) -> list[dict[str, Any]]:
    wanted = json.dumps({"system": "https://fhir.nhs.uk/Id/nhs-number", "value": number}).encode()
    request = urllib.request.Request(f"{server.http}/people/search", wanted, {"content-type": "application/json"})
    try:
        person = json.loads(asked(request))["person"]  # type: ignore[arg-type] # urlopen takes either
        return list(json.loads(asked(f"{server.http}/people/{person}/timeline"))["entries"])
    except OSError:
        return []


def test_what_several_take_in_is_read_as_one_and_counted_as_one(backbone: Backbone) -> None:
    people = list(zip(numbers(), range(8), strict=False))
    with backbone.serving() as server:
        assert [one["door"] for one in server.ready["open"]] == ["http", "mllp", "projections"]
        assert len(children(server)) == 4
        lines = [Line(server) for _ in range(32)]
        for line, content in zip(lines, messages(32), strict=True):
            assert b"MSA|AA|" in line.send(content)
        for number, _ in people:
            eventually(lambda number=number: len(timeline(server, number)) == 4)
        shares = [_connections(pid) for pid in children(server)]
        assert sum(share > 0 for share in shares) == 3, f"every taker has senders: {shares}"
        assert counted(server, "backbone_arrivals_total") == 32
        assert counted(server, "backbone_door_connections") == 32
        assert eventually(lambda: counted(server, "backbone_projection_records_total") >= 64)
        assert answering(server) == (4, 0)
        for line in lines:
            line.close()
        assert server.stop().status == 0


def _connections(pid: int) -> int:
    """Of the server's own ports, those that this process holds."""
    held = {str(place.readlink()) for place in Path(f"/proc/{pid}/fd").iterdir() if place.is_symlink()}
    inodes = {place.removeprefix("socket:[").rstrip("]") for place in held if place.startswith("socket:")}
    rows = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    return sum(row[9] in inodes and row[3] == "01" for row in rows)


def test_a_repetition_that_reaches_another_taker_is_acknowledged_and_changes_nothing(backbone: Backbone) -> None:
    content = next(iter(messages(1)))
    number = next(numbers())
    with backbone.serving() as server:
        lines = [Line(server) for _ in range(12)]
        assert all(b"MSA|AA|" in line.send(content) for line in lines)
        (entry,) = eventually(lambda: timeline(server, number))
        assert entry["version"] == 1
        eventually(
            lambda: counted(server, "backbone_arrivals_total") + counted(server, "backbone_arrivals_repeated_total") == 12
        )
        # At most once for each of three takers: whoever has taken it in knows it again.
        assert counted(server, "backbone_arrivals_total") <= 3
        assert len(timeline(server, number)) == 1
        for line in lines:
            line.close()


def test_each_process_that_is_killed_is_started_again_and_nothing_acknowledged_is_lost(backbone: Backbone) -> None:
    sent = list(messages(24))
    with backbone.serving() as server:
        first, before = children(server), 0.0
        for place, victim in enumerate(first):
            for content in sent[place * 6 : place * 6 + 6]:
                assert b"MSA|AA|" in sent_until_acknowledged(server, content)
            shown = counted(server, "backbone_arrivals_total")
            assert shown >= before, "a counter went back"
            before = shown
            os.kill(victim, signal.SIGKILL)
            eventually(lambda victim=victim: victim not in children(server) and len(children(server)) == 4 and ready(server))
        assert counted(server, "backbone_arrivals_total") >= before
        for number, _ in zip(numbers(), range(6), strict=False):
            eventually(lambda number=number: len(timeline(server, number)) == 4)
        said = [json.loads(line)["message"] for line in server.stop().err.splitlines()]
    again = [line for line in said if "is started again" in line]
    assert [line.split()[1] for line in again] == ["doors-1", "doors-2", "doors-3", "projections-1"]
    assert all("ended with signal 9" in line for line in again)


def test_readiness_and_metrics_say_who_is_silent(backbone: Backbone) -> None:
    with backbone.serving() as server:
        assert ready(server)
        frozen = children(server)[-1]
        os.kill(frozen, signal.SIGSTOP)
        try:
            found = health(server)
            assert (found["status"], found["not_ready"]) == ("not ready", ["projections-1"])
            assert json.loads(asked(f"{server.http}/health/ready?part=taking-in"))["status"] == "ready"
            assert answering(server) == (3, 1)
        finally:
            os.kill(frozen, signal.SIGCONT)
        eventually(lambda: ready(server))


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_one_signal_to_all_or_to_the_supervisor_alone_ends_all_of_them(backbone: Backbone, number: signal.Signals) -> None:
    with backbone.serving() as server:
        pids = children(server)
        os.killpg(server.process.pid, number)  # as a terminal does; `Server.stop` sends it to the supervisor
        out, err = server.process.communicate(timeout=10)
        assert (server.process.returncode, out) == (0, b"")
        assert b"Traceback" not in err and b"exception" not in err
        assert not any(alive(pid) for pid in pids)


def test_a_second_signal_ends_all_of_them_at_once(backbone: Backbone) -> None:
    with backbone.serving() as server:
        pids = children(server)
        for pid in pids:
            os.kill(pid, signal.SIGSTOP)  # so that the first one is not heard
        server.process.send_signal(signal.SIGTERM)
        connection = eventually(lambda: _refused(server))
        assert connection
        server.process.send_signal(signal.SIGTERM)
        assert server.process.wait(DEADLINE_S) == 143
        assert not any(alive(pid) for pid in pids)


def _refused(server: Server) -> bool:
    """Whether the supervisor has closed its doors, and so has heard the signal: stopped children hold theirs."""
    links = [str(place.readlink()) for place in Path(f"/proc/{server.process.pid}/fd").iterdir() if place.is_symlink()]
    inodes = {link.removeprefix("socket:[").rstrip("]") for link in links if link.startswith("socket:")}
    rows = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    return not any(row[9] in inodes and row[3] == "0A" for row in rows)


def test_a_supervisor_that_is_killed_leaves_nobody_and_nothing_behind(tmp_path: Path) -> None:
    with tempfile.TemporaryDirectory() as private:
        backbone = Backbone(tmp_path, FOUR | {"TMPDIR": private})
        with backbone.serving() as server:
            pids = children(server)
            server.process.kill()
            eventually(lambda: not any(alive(pid) for pid in pids))
            assert list(Path(private).iterdir()) == []
        with backbone.serving() as server:  # its locks are free
            assert server.stop().status == 0
        assert list(Path(private).iterdir()) == []


def test_a_long_path_of_temporary_files_is_no_hindrance(tmp_path: Path) -> None:
    long = tmp_path / ("long" * 30)
    long.mkdir()
    with Backbone(tmp_path, {"BACKBONE_PROCESSES": "2", "TMPDIR": str(long)}).serving() as server:
        assert answering(server) == (2, 0)


def test_a_process_that_dies_at_every_start_ends_the_server_with_its_own_message(backbone: Backbone) -> None:
    with backbone.serving() as server:
        secret = backbone.folder / "backbone-data" / "key-secret"
        secret.rename(secret.with_name("elsewhere"))
        os.kill(children(server)[0], signal.SIGKILL)
        _, err = server.process.communicate(timeout=DEADLINE_S)
        assert server.process.returncode == 2
        said = [json.loads(line) for line in err.decode().splitlines()]
        last, own = said[-2:]
        assert "the key secret is gone" in last["message"]
        assert own["code"] == "process-keeps-dying"
        starts = [re.search(r"again in (\S+) s", line["message"]) for line in said[:-2]]
        assert [float(found[1]) for found in starts if found] == [0.0, 0.5, 1.0, 2.0, 4.0]


REFUSED = {
    "an occupied port for HTTP": ["--http", "{taken}"],
    "an occupied port for MLLP": ["--mllp", "{taken}"],
    "a role that does not exist": ["--only", "intke"],
    "a role that has nothing to do": ["--only", "delivery"],
}


@pytest.mark.parametrize("arguments", REFUSED.values(), ids=REFUSED)
def test_what_keeps_it_from_starting_is_said_once_and_as_by_one_process(tmp_path: Path, arguments: list[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        place = f"127.0.0.1:{taken.getsockname()[1]}"
        given = [word.format(taken=place) for word in arguments]
        free = [word for door in ("--http", "--mllp") if door not in given for word in (door, "127.0.0.1:0")]
        one, four = (Backbone(tmp_path, {"BACKBONE_PROCESSES": number})("serve", *given, *free) for number in ("1", "4"))
    assert (four.status, four.out, four.err) == (one.status, one.out, one.err)
    assert four.status == 2
    assert len(four.err.splitlines()) == 1


def test_a_mapping_with_an_error_is_said_once_although_all_of_them_read_it(backbone: Backbone) -> None:
    (backbone.folder / "mine.yaml").write_text("source: mine\nreads: cvs\n")
    backbone.settings('[[source]]\nid = "mine"\nname = "Mine"\nsector = "fire"\nreads = "mine.yaml"\n')
    four = backbone("serve", "--http", "127.0.0.1:0", "--mllp", "127.0.0.1:0")
    one = Backbone(backbone.folder, {"BACKBONE_PROCESSES": "1"})("serve", "--http", "127.0.0.1:0", "--mllp", "127.0.0.1:0")
    assert (four.status, four.out, four.err) == (one.status, one.out, one.err)
    assert four.status == 2


def test_a_changed_source_may_send_at_every_taker(backbone: Backbone) -> None:
    with backbone.serving() as server:
        content = next(iter(messages(1))).replace(b"|PAS|", b"|NEW|")
        assert b"MSA|AR|" in sent_until_acknowledged(server, content)
        backbone.settings(HOSPITAL + HOSPITAL.replace("northfield-pas", "new").replace('"PAS"', '"NEW"'))

        def taken_by_all() -> bool:
            lines = [Line(server) for _ in range(16)]
            answers = [line.send(content) for line in lines]
            for line in lines:
                line.close()
            return all(b"MSA|AA|" in answer for answer in answers)

        eventually(taken_by_all)


def test_unless_told_it_is_as_many_as_there_are_processors(tmp_path: Path) -> None:
    with Backbone(tmp_path, {"BACKBONE_PROCESSES": "auto"}).serving() as server:
        wanted = min(processors(), AUTO_MOST)
        assert len(children(server)) == (wanted if wanted > 1 else 0)


def test_one_process_is_one_process(tmp_path: Path) -> None:
    with Backbone(tmp_path, {"BACKBONE_PROCESSES": "1"}).serving() as server:
        assert children(server) == []
        assert answering(server) == (1, 0)
        assert server.stop().status == 0
