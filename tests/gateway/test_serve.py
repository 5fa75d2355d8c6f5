"""``backbone serve`` as its operators meet it: started, stopped, refused, left without its engines."""

from __future__ import annotations

import json
import os
import resource
import signal
import socket
import sqlite3
import ssl
import subprocess
import threading
import urllib.error
import urllib.request
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from tests.bench.messages import messages
from tests.certificates import Authority
from tests.command_line import DEADLINE_S, HOSPITAL, Backbone, Server
from tests.patience import eventually

SECRET = "0123456789abcdef0123456789abcdef"


@pytest.fixture
def backbone(tmp_path: Path) -> Backbone:
    made = Backbone(tmp_path)
    made.settings(HOSPITAL)
    return made


def status_of(url: str) -> int:
    try:
        with urllib.request.urlopen(url, timeout=DEADLINE_S) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as refused:
        return refused.code


def sends(address: tuple[str, int], content: bytes) -> bytes:
    """The answer to one message, empty when the connection is closed without one."""
    with socket.create_connection(address, timeout=DEADLINE_S) as connection:
        return answer_to(connection, content)


def answer_to(connection: socket.socket, content: bytes) -> bytes:
    connection.sendall(b"\x0b" + content + b"\x1c\r")
    answer = b""
    while not answer.endswith(b"\x1c\r"):
        piece = connection.recv(65536)
        if not piece:
            return b""
        answer += piece
    return answer


def events_in_log(backbone: Backbone) -> int:
    topics = {topic["topic"]: topic for topic in backbone("log", "verify", "--json").json}
    assert all(topic["sound"] for topic in topics.values())
    return int(topics["backbone.events"]["records"])


def test_it_serves_in_an_empty_folder(tmp_path: Path) -> None:
    backbone = Backbone(tmp_path)
    with backbone.serving() as server:
        assert status_of(f"{server.http}/health/ready") == 200
        assert sends(server.mllp, next(iter(messages(1)))).split(b"MSA|")[1].startswith(b"AR")
        assert server.where("projections") == "people, timeline, receipts, quarantine"
        assert server.stop().status == 0
    assert oct((tmp_path / "backbone-data").stat().st_mode)[-3:] == "700"


def test_it_prints_a_line_for_each_door_and_then_that_it_is_ready(backbone: Backbone) -> None:
    process = backbone.start("serve", "--http", "127.0.0.1:0", "--mllp", "127.0.0.1:0")
    assert process.stdout is not None
    lines = [process.stdout.readline().decode() for _ in range(4)]
    process.terminate()
    process.communicate(timeout=DEADLINE_S)
    assert [line.split()[0] for line in lines] == ["http", "mllp", "projections", "Ready"]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_cleanly_and_it_starts_again(backbone: Backbone, number: signal.Signals) -> None:
    for _ in range(2):
        with backbone.serving() as server:
            outcome = server.stop(number)
            assert outcome.status == 0
            assert "Traceback" not in outcome.err


class Sender(threading.Thread):
    """One interface engine: sends one message after the other until the connection is closed."""

    def __init__(self, server: Server, share: list[bytes]) -> None:
        super().__init__()
        self._address, self._share = server.mllp, share
        self.acknowledged = 0

    def run(self) -> None:
        for content in self._share:
            try:
                answer = sends(self._address, content)
            except OSError:
                return
            if b"MSA|AA|" not in answer:
                return
            self.acknowledged += 1


def test_a_stop_under_load_keeps_what_was_acknowledged(backbone: Backbone) -> None:
    sent, senders = list(messages(8000)), list[Sender]()
    with backbone.serving() as server:
        senders = [Sender(server, sent[number::8]) for number in range(8)]
        for sender in senders:
            sender.start()
        eventually(lambda: sum(sender.acknowledged for sender in senders) > 200)
        outcome = server.stop()
        for sender in senders:
            sender.join()
    acknowledged = sum(sender.acknowledged for sender in senders)
    assert outcome.status == 0, outcome.err
    assert acknowledged < len(sent), "the stop came after the load"
    assert acknowledged <= events_in_log(backbone) <= acknowledged + len(senders)


def test_a_live_stream_does_not_hold_up_the_stop(backbone: Backbone) -> None:
    with backbone.serving() as server:
        sends(server.mllp, next(iter(messages(1))))
        (folder,) = [backbone.folder]
        (folder / "one.hl7").write_bytes(next(iter(messages(1))))
        person = eventually(lambda: _someone(backbone))
        with urllib.request.urlopen(f"{server.http}/people/{person}/timeline/live", timeout=DEADLINE_S) as stream:
            assert stream.readline().startswith(b"retry:")
            assert server.stop().status == 0


def _someone(backbone: Backbone) -> str:
    content = next(iter(messages(1)))
    number = content.split(b"\r")[2].split(b"|")[3].split(b"^")[0]
    found = backbone("person", "find", "--source", "northfield-pas", stdin=number)
    return found.out.strip()


def test_a_second_server_on_one_folder_is_refused(backbone: Backbone) -> None:
    with backbone.serving() as server:
        outcome = backbone("serve", "--http", "127.0.0.1:0", "--mllp", "127.0.0.1:0")
        assert outcome.status == 2
        assert f"process {server.process.pid} serves this folder already" in outcome.err
        assert status_of(f"{server.http}/health/live") == 200


def test_two_servers_share_a_folder_in_different_roles(backbone: Backbone) -> None:
    with backbone.serving("--only", "intake") as intake, backbone.serving("--only", "gateway,projections") as gateway:
        assert {one["door"] for one in intake.ready["open"]} == {"mllp"}
        assert {one["door"] for one in gateway.ready["open"]} == {"http", "projections"}
        assert b"MSA|AA|" in sends(intake.mllp, next(iter(messages(1))))
        eventually(lambda: _someone(backbone))


def test_a_process_without_http_answers_for_its_health(tmp_path: Path) -> None:
    backbone = Backbone(tmp_path, {"BACKBONE_HEALTH": "127.0.0.1:0"})
    backbone.settings(HOSPITAL)
    with backbone.serving("--only", "intake") as intake, backbone.serving("--only", "projections") as projections:
        assert {one["door"] for one in intake.ready["open"]} == {"mllp", "health"}
        assert b"MSA|AA|" in sends(intake.mllp, next(iter(messages(1))))
        taking_in, projecting = (_health(one) for one in (intake, projections))
        assert taking_in == {
            "status": "ready",
            "log": taking_in["log"],
            "appends": {"works": True},
            "disk": {"works": True},
            "store": None,
            "ledger": None,
            "taking_in": True,
            "behind": {},
            "parked": {},
            "not_ready": [],
        }
        assert projecting["store"]["reachable"] and not projecting["taking_in"]
        assert projecting["appends"] is None
        eventually(lambda: 'backbone_projection_records_total{topic="backbone.events"} 1.0' in _metrics(projections))
        eventually(lambda: _health(projections)["behind"].get("timeline", {}).get("events") == 0)
        counted = {server: _metrics(server) for server in (intake, projections)}
    assert 'backbone_arrivals_total{door="mllp",source="northfield-pas"} 1.0' in counted[intake]
    for row in ('behind_events{partition="0",projection="timeline"} 0.0', 'parked_events{projection="people"} 0.0'):
        assert f"backbone_projection_{row}" in counted[projections]
    assert 'backbone_store_pool_limit_connections{use="writing"}' in counted[projections]
    assert "backbone_log_append_seconds_count 1.0" in counted[intake]


def _health(server: Server) -> dict[str, Any]:
    return dict(json.loads(_read(f"{server.where('health')}/health/ready")))


def _metrics(server: Server) -> str:
    return _read(f"{server.where('health')}/metrics").decode()


def _read(url: str) -> bytes:
    with urllib.request.urlopen(url, timeout=DEADLINE_S) as answer:
        content: bytes = answer.read()
        return content


REFUSALS = [
    (["--http", "0.0.0.0:8080"], "access control"),
    (["--mllp", "0.0.0.0:2575"], "access control"),
    (["--http", "[::]:8080"], "access control"),
    (["--http", "somewhere"], "--http"),
    (["--only", "intke"], "did you mean intake?"),
    (["--only", "delivery"], "nothing to do"),
]


@pytest.mark.parametrize(("arguments", "says"), REFUSALS, ids=[" ".join(row[0]) for row in REFUSALS])
def test_what_may_not_be_is_refused_with_2(backbone: Backbone, arguments: list[str], says: str) -> None:
    defaults = {"--http": "127.0.0.1:0", "--mllp": "127.0.0.1:0"}
    others = [word for option, value in defaults.items() if option not in arguments for word in (option, value)]
    outcome = backbone("serve", *arguments, *others)
    assert outcome.status == 2
    assert says in outcome.err
    assert "Traceback" not in outcome.err


def test_an_address_in_use_is_refused(backbone: Backbone) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        outcome = backbone("serve", "--http", f"127.0.0.1:{taken.getsockname()[1]}", "--mllp", "127.0.0.1:0")
    assert outcome.status == 2
    assert "another program listens there" in outcome.err.lower()


def test_a_mapping_with_an_error_stops_the_start_with_file_and_line(backbone: Backbone) -> None:
    (backbone.folder / "mine.yaml").write_text("source: mine\nreads: cvs\n")
    backbone.settings('[[source]]\nid = "mine"\nname = "Mine"\nsector = "fire"\nreads = "mine.yaml"\n')
    outcome = backbone("serve", "--http", "127.0.0.1:0", "--mllp", "127.0.0.1:0")
    assert outcome.status == 2
    assert "mine.yaml" in outcome.err
    assert "line 2" in outcome.err


def test_a_data_folder_that_cannot_be_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    outcome = Backbone(tmp_path, {"BACKBONE_DATA": "file/data"})("serve", "--http", "127.0.0.1:0", "--mllp", "127.0.0.1:0")
    assert outcome.status == 3
    assert f"{tmp_path}/file" in outcome.err
    assert "Traceback" not in outcome.err


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_without_rights_is_named(tmp_path: Path) -> None:
    (tmp_path / "closed").mkdir(mode=0o500)
    outcome = Backbone(tmp_path, {"BACKBONE_DATA": "closed/data"})("serve", "--http", "127.0.0.1:0", "--mllp", "127.0.0.1:0")
    assert outcome.status == 3
    assert "Let the user that runs the backbone read and write it." in outcome.err


def test_a_quota_that_is_used_up_is_told(backbone: Backbone) -> None:
    def no_room() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))

    process = subprocess.run(
        backbone.command("serve", "--http", "127.0.0.1:0", "--mllp", "127.0.0.1:0"),
        cwd=backbone.folder, capture_output=True, timeout=DEADLINE_S, check=False, preexec_fn=no_room,
    )  # fmt: skip
    told = process.stderr.decode()
    assert process.returncode == 3, told
    assert "log.db" in told
    assert "full" in told or "quota" in told
    assert "Traceback" not in told


@pytest.mark.skipif(not hasattr(resource, "prlimit"), reason="only Linux takes room from a process that runs")
def test_everything_said_of_one_message_over_mllp_carries_one_id_and_of_the_next_another(backbone: Backbone) -> None:
    with backbone.serving() as server:
        resource.prlimit(server.process.pid, resource.RLIMIT_FSIZE, (0, 0))
        assert [sends(server.mllp, content) for content in messages(2)] == [b"", b""]
        told = [json.loads(line) for line in server.stop().err.splitlines() if line.startswith("{")]
    said: dict[str, list[str]] = {}
    for line in told:
        if "127.0.0.1" in line["message"]:  # the peer's address
            said.setdefault(line["correlation"], []).append(line["message"])
    assert len(said) == 2, told
    for messages_of_one in said.values():
        assert messages_of_one[0].startswith("no answer to 127.0.0.1: ")
        [told_last] = messages_of_one[1:]
        assert told_last.startswith("MLLP: log-unavailable from 127.0.0.1. It was cut off without an answer")


def test_a_store_of_a_newer_version_brings_it_down_unharmed(backbone: Backbone) -> None:
    with backbone.serving() as server:
        server.stop()
    with sqlite3.connect(backbone.folder / "backbone-data" / "store.db") as store:
        store.execute("UPDATE alembic_version SET version_num = '9999'")
    outcome = backbone("serve", "--http", "127.0.0.1:0", "--mllp", "127.0.0.1:0")
    assert outcome.status == 2
    assert "newer version" in outcome.err


def test_a_store_is_not_filled_from_a_log_that_was_begun_anew(backbone: Backbone) -> None:
    """Its first events would stand where the store has read the old one's, and be passed over without a word."""
    with backbone.serving() as server:
        assert b"MSA|AA|" in sends(server.mllp, next(iter(messages(1))))
        server.stop()
    for file in (backbone.folder / "backbone-data").glob("log.db*"):
        file.unlink()
    outcome = backbone("serve", "--http", "127.0.0.1:0", "--mllp", "127.0.0.1:0")
    assert outcome.status == 2
    assert "the store was filled from sqlite:" in outcome.err and "BACKBONE_STORE" in outcome.err
    assert "the store was filled from sqlite:" in backbone("doctor").out


def test_an_older_copy_of_the_log_is_told_by_the_doctor(backbone: Backbone) -> None:
    data = backbone.folder / "backbone-data"
    with backbone.serving() as server:
        server.stop()
    older = (data / "log.db").read_bytes()
    with backbone.serving() as server:
        assert b"MSA|AA|" in sends(server.mllp, next(iter(messages(1))))
        eventually(lambda: _applied(data / "store.db"))
        server.stop()
    for file in data.glob("log.db-*"):
        file.unlink()
    (data / "log.db").write_bytes(older)
    outcome = backbone("doctor", "--json")
    assert outcome.status == 3
    (found,) = [finding for finding in outcome.json if finding["level"] == "unreachable"]
    assert "does not go on where this projection left off" in found["says"] and "backbone rebuild" in found["cure"]


def _applied(store: Path) -> int:
    """Records that the projections have read."""
    with closing(sqlite3.connect(store)) as connection:
        return int(connection.execute("SELECT sum(next) FROM position").fetchone()[0])


def test_with_the_store_down_senders_are_still_acknowledged(tmp_path: Path) -> None:
    environment = {"BACKBONE_STORE": "postgresql://nobody@127.0.0.1:1/none", "BACKBONE_KEY_SECRET": SECRET}
    backbone = Backbone(tmp_path, environment)
    backbone.settings(HOSPITAL)
    with backbone.serving() as server:
        assert b"MSA|AA|" in sends(server.mllp, next(iter(messages(1))))
        assert status_of(f"{server.http}/health/ready") == 503
        assert status_of(f"{server.http}/health/ready?part=taking-in") == 200
        outcome = backbone("timeline", "0" * 32)
        assert outcome.status == 3
        assert "store" in outcome.err
        assert server.stop().status == 0
    assert events_in_log(backbone) == 1


def test_with_the_log_down_it_does_not_start(tmp_path: Path) -> None:
    environment = {"BACKBONE_LOG": "kafka://127.0.0.1:1", "BACKBONE_KEY_SECRET": SECRET}
    outcome = Backbone(tmp_path, environment)("serve", "--http", "127.0.0.1:0", "--mllp", "127.0.0.1:0")
    assert outcome.status == 3
    assert "Traceback" not in outcome.err


def test_mllp_over_tls_is_bound_to_the_senders_certificate(backbone: Backbone, tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    door, sender, stranger = (
        authority.server(),
        authority.client("pas", ["pas.northfield"]),
        authority.client("other", ["other"]),
    )
    tls = f"""
[mllp_tls]
certificate = "{door.certificate}"
key = "{door.key}"
client_authority = "{authority.certificate}"
"""
    backbone.settings(tls + HOSPITAL + 'tls_client = "pas.northfield"\n')
    content = next(iter(messages(1)))
    with backbone.serving() as server:
        for client, code in ((stranger, b"MSA|AR|"), (sender, b"MSA|AA|")):
            context = ssl.create_default_context(cafile=str(authority.certificate))
            context.load_cert_chain(client.certificate, client.key)
            plain = socket.create_connection(server.mllp, timeout=DEADLINE_S)
            with context.wrap_socket(plain, server_hostname="localhost") as connection:
                assert code in answer_to(connection, content)


@pytest.mark.parametrize(("number", "status"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_server_that_is_stopped_while_it_starts_ends(tmp_path: Path, number: signal.Signals, status: int) -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as silent:  # takes the connection, and never answers
        environment = {"BACKBONE_LOG": f"kafka://127.0.0.1:{silent.getsockname()[1]}", "BACKBONE_KEY_SECRET": SECRET}
        starting = Backbone(tmp_path, environment).start("serve", "--only", "intake", "--mllp", "127.0.0.1:0")
        connection, _ = silent.accept()
        starting.send_signal(number)
        _, said = starting.communicate(timeout=DEADLINE_S)
        connection.close()
    assert starting.returncode == status
    assert b"Stopped" in said
