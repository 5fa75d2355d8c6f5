"""The drop folder: what is taken, when, and where it is put."""

from __future__ import annotations

import asyncio
import io
import json
import logging
import os
import tempfile
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from adapters.intake.receive import Delivery, Intake
from adapters.registry import Registry
from adapters.sources.folder import DropFolder
from schemas.arrival.receipt import Receipt, decode
from schemas.event import decode as decode_event
from schemas.log import EVENTS, QUARANTINE, RECEIPTS
from schemas.pseudonyms import Pseudonyms
from schemas.source import Sector, Source
from tests.line_translator import SECRET, LineTranslator
from tests.memory_log import MemoryLog
from tests.patience import PATIENCE_S, until

RIVERSIDE = Source(id="riverside-adult-care", name="Riverside Council", sector=Sector.COUNCIL)
SETTLE = timedelta(seconds=2)


class Clock:
    def __init__(self) -> None:
        self.now = datetime(2026, 2, 3, 12, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now

    def passes(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)


class Place:
    """A folder, the log behind it, and a hand on the clock."""

    def __init__(self, folder: Path, translator: LineTranslator | None = None) -> None:
        self.folder = folder
        self.log = MemoryLog()
        self.clock = Clock()
        self.translator = translator or LineTranslator()
        self.intake = Intake(self.log, Registry({RIVERSIDE.id: self.translator}), Pseudonyms(SECRET), self.clock)
        self.door = self.opened()

    def opened(self) -> DropFolder:
        return DropFolder(self.intake, RIVERSIDE, self.folder, self.clock, settle=SETTLE, interval=timedelta(milliseconds=5))

    async def look_twice(self) -> None:
        """Look, wait until everything has come to rest, look again."""
        await self.door.look()
        self.clock.passes(2)
        await self.door.look()

    def names(self, shelf: str = "") -> list[str]:
        return sorted(path.name for path in (self.folder / shelf).iterdir() if path.is_file())

    def receipt(self, name: str, shelf: str = "done") -> Receipt:
        return decode((self.folder / shelf / f"{name}.receipt.json").read_bytes())

    def written(self, name: str, shelf: str) -> dict[str, Any]:
        """The receipt as another program reads it."""
        return dict(json.loads((self.folder / shelf / f"{name}.receipt.json").read_bytes()))


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


NOBODY = 65534


@pytest.fixture
def nobodys_place() -> Iterator[Place]:
    """A folder whose permissions bind us, as they would not bind root."""
    root = os.geteuid() == 0
    with tempfile.TemporaryDirectory() as folder:
        if root:
            os.chown(folder, NOBODY, NOBODY)
            os.seteuid(NOBODY)
        try:
            yield Place(Path(folder))
        finally:
            os.seteuid(os.getuid())


@pytest.mark.asyncio
async def test_a_file_at_rest_is_taken_in_and_moved_with_its_receipt_beside_it(place: Place) -> None:
    (place.folder / "services.csv").write_bytes(b"good 1\nbad 2\n")
    await place.look_twice()
    assert place.names() == []
    assert place.names("done") == ["services.csv", "services.csv.receipt.json"]
    receipt = place.receipt("services.csv")
    assert (receipt.accepted, receipt.rejected, receipt.name, receipt.door) == (1, 1, "services.csv", "folder")
    assert [decode(record.value) for record in place.log.all(RECEIPTS)] == [receipt]


@pytest.mark.asyncio
async def test_a_file_of_which_nothing_could_be_taken_goes_to_failed(place: Place) -> None:
    (place.folder / "services.csv").write_bytes(b"refuse\n")
    await place.look_twice()
    assert place.names("failed") == ["services.csv", "services.csv.receipt.json"]
    note = place.written("services.csv", "failed")
    assert (note["accepted"], note["events"], note["flags"]) == (0, [], []), "what is nothing is said as well"
    assert note["received"] == note["rejected"] > 0
    assert len(place.log.all(QUARANTINE)) == 1


@pytest.mark.asyncio
async def test_a_file_that_still_grows_is_left_until_it_has_come_to_rest(place: Place) -> None:
    path = place.folder / "services.csv"
    path.write_bytes(b"good 1\n")
    await place.door.look()
    for _ in range(3):
        place.clock.passes(1.5)
        with path.open("ab") as file:
            file.write(b"good more\n")
        await place.door.look()
    assert place.log.all(EVENTS) == []
    place.clock.passes(2)
    await place.door.look()
    assert place.receipt("services.csv").received == 4


@pytest.mark.parametrize(
    "name", [".hidden.csv", "~$services.xlsx", "services.csv.part", "services.tmp", "services.csv~", "services.filepart"]
)
@pytest.mark.asyncio
async def test_hidden_and_unfinished_names_are_left_alone_until_they_are_renamed(place: Place, name: str) -> None:
    (place.folder / name).write_bytes(b"good 1\n")
    await place.look_twice()
    assert place.names() == [name]
    (place.folder / name).rename(place.folder / "services.csv")
    await place.look_twice()
    assert place.names("done") == ["services.csv", "services.csv.receipt.json"]


@pytest.mark.asyncio
async def test_folders_and_links_in_it_are_left_alone(place: Place, tmp_path_factory: pytest.TempPathFactory) -> None:
    elsewhere = tmp_path_factory.mktemp("elsewhere") / "secret.csv"
    elsewhere.write_bytes(b"good 1\n")
    (place.folder / "link.csv").symlink_to(elsewhere)
    (place.folder / "deeper").mkdir()
    (place.folder / "deeper" / "services.csv").write_bytes(b"good 1\n")
    await place.look_twice()
    assert place.log.all(RECEIPTS) == []


@pytest.mark.asyncio
async def test_older_files_are_taken_before_newer_ones(place: Place) -> None:
    for name, changed_at in (("a.csv", 3), ("b.csv", 1), ("c.csv", 2)):
        (place.folder / name).write_bytes(name.encode())
        os.utime(place.folder / name, (changed_at, changed_at))
    order: list[str] = []
    receive = place.intake.receive

    class Noting(Intake):
        async def receive(self, delivery: Delivery, progress: Callable[[int], None] | None = None) -> Receipt:
            order.append(delivery.name)
            return await receive(delivery, progress)

    noting = Noting(place.log, Registry({}), Pseudonyms(SECRET), place.clock)
    place.door = DropFolder(noting, RIVERSIDE, place.folder, place.clock, settle=SETTLE)
    await place.look_twice()
    assert order == ["b.csv", "c.csv", "a.csv"]


@pytest.mark.asyncio
async def test_a_name_that_is_taken_gets_a_number_and_nothing_is_overwritten(place: Place) -> None:
    for round_ in range(3):
        (place.folder / "services.csv").write_bytes(b"good %d\n" % round_)
        await place.look_twice()
    assert place.names("done") == sorted(
        name + end for name in ("services.csv", "services (2).csv", "services (3).csv") for end in ("", ".receipt.json")
    )
    assert (place.folder / "done" / "services.csv").read_bytes() == b"good 0\n"
    assert (place.folder / "done" / "services (3).csv").read_bytes() == b"good 2\n"
    assert len({place.receipt(name).id for name in ("services.csv", "services (2).csv", "services (3).csv")}) == 3


@pytest.mark.asyncio
async def test_a_foreign_receipt_file_in_the_way_is_not_overwritten(place: Place) -> None:
    (place.folder / "done").mkdir()
    (place.folder / "done" / "services.csv.receipt.json").write_bytes(b"somebody's notes")
    (place.folder / "services.csv").write_bytes(b"good 1\n")
    await place.look_twice()
    assert (place.folder / "done" / "services.csv.receipt.json").read_bytes() == b"somebody's notes"
    assert (place.folder / "done" / "services (2).csv").exists()


@pytest.mark.asyncio
async def test_the_same_file_dropped_again_appends_nothing_and_is_put_away_too(place: Place) -> None:
    for _ in range(2):
        (place.folder / "services.csv").write_bytes(b"good 1\n")
        await place.look_twice()
    assert len(place.log.all(EVENTS)) == 1
    assert place.receipt("services.csv") == place.receipt("services (2).csv")


@pytest.mark.asyncio
async def test_with_the_log_down_the_file_stays_and_is_taken_when_it_is_back(
    place: Place, caplog: pytest.LogCaptureFixture
) -> None:
    place.log.room = 0
    (place.folder / "services.csv").write_bytes(b"good 1\n")
    await place.look_twice()
    assert place.names() == ["services.csv"]
    assert "the folder of riverside-adult-care waits" in caplog.text
    place.log.room = float("inf")
    await place.door.look()
    assert place.names("done") == ["services.csv", "services.csv.receipt.json"]


@pytest.mark.asyncio
async def test_a_folder_that_is_missing_is_said_once_and_taken_up_when_it_appears(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    place = Place(tmp_path / "share")
    await place.look_twice()
    assert [record.levelno for record in caplog.records] == [logging.ERROR]
    assert "cannot be read: No such file or directory. Is its share mounted" in caplog.text
    place.folder.mkdir()
    (place.folder / "services.csv").write_bytes(b"good 1\n")
    await place.look_twice()
    assert place.names("done") == ["services.csv", "services.csv.receipt.json"]


@pytest.mark.asyncio
async def test_a_file_that_made_trouble_is_tried_again_also_when_the_clock_was_set_back(place: Place) -> None:
    (place.folder / "done").write_bytes(b"a file where the folder should be")
    place.door = place.opened()
    (place.folder / "a.csv").write_bytes(b"good a\n")
    await place.look_twice()
    (place.folder / "done").unlink()
    await place.look_twice()
    assert place.names() == ["a.csv"]
    place.clock.passes(-3600)
    await place.look_twice()
    assert place.names("done") == ["a.csv", "a.csv.receipt.json"]


@pytest.mark.asyncio
async def test_where_nothing_can_be_moved_files_are_taken_in_once_and_moved_when_that_is_mended(
    place: Place, caplog: pytest.LogCaptureFixture
) -> None:
    (place.folder / "done").write_bytes(b"a file where the folder should be")
    place.door = place.opened()
    for name in ("Canary Ellis.csv", "b.csv"):
        (place.folder / name).write_bytes(b"good " + name.encode())
    await place.look_twice()
    assert sorted(place.names()) == ["Canary Ellis.csv", "b.csv", "done"]
    assert len(place.log.all(EVENTS)) >= 2
    assert "was taken in but cannot be moved: " in caplog.text
    assert "Canary" not in caplog.text
    translated = place.translator.lines

    (place.folder / "done").unlink()
    place.clock.passes(61)
    await place.look_twice()
    assert place.names() == []
    assert place.translator.lines == translated


@pytest.mark.parametrize("name", ["n" * 251 + ".csv", "ä" * 125 + ".csv", "x" * 253, "a." + "s" * 250])
@pytest.mark.asyncio
async def test_a_file_whose_name_leaves_no_room_for_that_of_its_receipt_is_put_away_under_a_shorter_one(
    place: Place, name: str
) -> None:
    (place.folder / name).write_bytes(b"good a\n")
    await place.look_twice()
    (place.folder / name).write_bytes(b"good b\n")
    await place.look_twice()
    assert place.names() == []
    assert len(place.names("done")) == 4


@pytest.mark.asyncio
async def test_a_folder_that_cannot_be_written_to_is_said_and_loses_nothing(
    nobodys_place: Place, caplog: pytest.LogCaptureFixture
) -> None:
    place = nobodys_place
    (place.folder / "a.csv").write_bytes(b"good a\n")
    place.folder.chmod(0o500)
    await place.look_twice()
    assert place.names() == ["a.csv"]
    assert "was taken in but cannot be moved: Permission denied. Let the user that runs the backbone" in caplog.text
    place.folder.chmod(0o700)
    place.clock.passes(61)
    await place.look_twice()
    assert place.names("done") == ["a.csv", "a.csv.receipt.json"]
    assert len(place.log.all(EVENTS)) == 1


@pytest.mark.asyncio
async def test_a_file_that_cannot_be_read_is_said_once_and_the_next_ones_go_on(
    nobodys_place: Place, caplog: pytest.LogCaptureFixture
) -> None:
    place = nobodys_place
    (place.folder / "a.csv").write_bytes(b"good a\n")
    (place.folder / "a.csv").chmod(0)
    (place.folder / "b.csv").write_bytes(b"good b\n")
    await place.look_twice()
    await place.look_twice()
    assert place.names() == ["a.csv"]
    assert place.names("done") == ["b.csv", "b.csv.receipt.json"]
    assert caplog.text.count("cannot be read: Permission denied. Let the user that runs the backbone") == 1
    (place.folder / "a.csv").chmod(0o600)
    place.clock.passes(61)
    await place.look_twice()
    assert place.names() == []


class GrowingTranslator(LineTranslator):
    """Somebody writes on into the file while it is translated."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self._path: Path | None = path

    def translate(self, content, arrival):  # type: ignore[no-untyped-def]
        yield from super().translate(content, arrival)
        if self._path is not None:
            with self._path.open("ab") as file:
                file.write(b"good late\n")
            self._path = None


@pytest.mark.asyncio
async def test_a_file_that_changes_while_it_is_read_is_read_again_whole(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "services.csv"
    place = Place(tmp_path, GrowingTranslator(path))
    path.write_bytes(b"good 1\n")
    await place.look_twice()
    assert place.names() == ["services.csv"]
    assert "changed while it was read" in caplog.text
    await place.look_twice()
    assert place.receipt("services.csv").received == 2
    assert len({decode_event(record.value).id for record in place.log.all(EVENTS)}) == 2


@pytest.mark.asyncio
async def test_a_file_that_a_program_has_open_for_writing_is_left_until_it_is_closed(
    place: Place, caplog: pytest.LogCaptureFixture
) -> None:
    with (place.folder / "Canary Ellis.csv").open("wb", buffering=0) as writer:
        writer.write(b"good 1\ngo")
        for _ in range(3):
            await place.look_twice()
        assert place.log.all(RECEIPTS) == []
        assert caplog.text.count("is still open for writing") == 1
        writer.write(b"od 2\n")
    await place.look_twice()
    assert place.receipt("Canary Ellis.csv").accepted == 2
    assert len(place.log.all(EVENTS)) == 2
    assert "Canary" not in caplog.text


@pytest.mark.asyncio
async def test_a_file_that_is_only_read_by_others_is_taken(place: Place) -> None:
    (place.folder / "a.csv").write_bytes(b"good 1\n")
    with (place.folder / "a.csv").open("rb"):
        await place.look_twice()
    assert place.names("done") == ["a.csv", "a.csv.receipt.json"]


class Elsewhere:
    """A writer whom this machine does not show: it holds the file by a second name, and writes when nobody looks."""

    def __init__(self, path: Path, hold: Path) -> None:
        self._hold = hold / "held"
        os.link(path, self._hold)

    def write(self, content: bytes) -> None:
        changed_ns = self._hold.stat().st_mtime_ns
        with self._hold.open("ab") as file:
            file.write(content)
        os.utime(self._hold, ns=(changed_ns, changed_ns + 3_600_000_000_000))


@pytest.mark.parametrize("restarted", [False, True])
@pytest.mark.parametrize(("first", "shelf"), [(b"good 1\n", "done"), (b"refuse\n", "failed")])
@pytest.mark.asyncio
async def test_what_is_written_into_a_file_after_it_was_taken_is_not_lost(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, restarted: bool, first: bytes, shelf: str
) -> None:
    (tmp_path / "inbox").mkdir()
    place = Place(tmp_path / "inbox")
    path = place.folder / "services.csv"
    path.write_bytes(first)
    writer = Elsewhere(path, tmp_path)
    await place.look_twice()
    assert place.names(shelf) == ["services.csv", "services.csv.receipt.json"]
    before = place.receipt("services.csv", shelf)

    writer.write(b"good 2\n")
    if restarted:
        place.door = place.opened()
    await place.look_twice()
    assert "was written on after it was taken: it is read again. Have its writer write it under another name" in caplog.text
    assert "services" not in caplog.text
    assert place.names() == []
    assert place.receipt("services.csv", shelf) == before, "what was read then is still told"
    whole = decode(place.log.all(RECEIPTS)[-1].value)
    assert whole.size_bytes == len(first + b"good 2\n")
    assert len({decode_event(record.value).id for record in place.log.all(EVENTS)}) == whole.accepted, "a row is one event"
    for _ in range(3):
        await place.look_twice()
    assert len(place.log.all(RECEIPTS)) == 2, "it is at rest now"


@pytest.mark.asyncio
async def test_a_file_from_the_future_is_taken_once(place: Place) -> None:
    (place.folder / "services.csv").write_bytes(b"good 1\n")
    os.utime(place.folder / "services.csv", (4_000_000_000, 4_000_000_000))
    for _ in range(3):
        await place.look_twice()
    place.door = place.opened()
    await place.look_twice()
    assert place.names("done") == ["services.csv", "services.csv.receipt.json"]


@pytest.mark.asyncio
async def test_a_file_written_on_goes_back_beside_a_new_one_of_its_name(
    place: Place, tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = place.folder / "services.csv"
    path.write_bytes(b"good 1\n")
    writer = Elsewhere(path, tmp_path_factory.mktemp("hold"))
    await place.look_twice()
    path.write_bytes(b"good 3\n")
    writer.write(b"good 2\n")
    await place.door.look()
    assert place.names() == ["services (2).csv", "services.csv"]
    await place.look_twice()
    assert len({decode_event(record.value).id for record in place.log.all(EVENTS)}) == 3


@pytest.mark.parametrize(
    ("name", "media_type"),
    [
        ("a.CSV", "text/csv"),
        ("a.xls", "application/vnd.ms-excel"),
        ("a.hl7", "application/hl7-v2"),
        ("a", "application/octet-stream"),
    ],
)
@pytest.mark.asyncio
async def test_the_suffix_says_the_media_type(place: Place, name: str, media_type: str) -> None:
    given: list[str] = []

    class Noting(Intake):
        async def receive(self, delivery: Delivery, progress: Callable[[int], None] | None = None) -> Receipt:
            given.append(delivery.media_type)
            return await place.intake.receive(delivery._replace(media_type=""))

    place.door = DropFolder(
        Noting(place.log, Registry({}), Pseudonyms(SECRET), place.clock), RIVERSIDE, place.folder, place.clock
    )
    (place.folder / name).write_bytes(b"good 1\n")
    await place.look_twice()
    assert given == [media_type]


@pytest.mark.asyncio
async def test_it_runs_until_it_is_stopped_and_finishes_what_is_under_way(place: Place) -> None:
    stop = asyncio.Event()
    running = asyncio.create_task(place.door.run(stop))
    (place.folder / "services.csv").write_bytes(b"".join(b"good %d\n" % n for n in range(1500)))  # more than one append

    def taken_in() -> bool:
        place.clock.passes(1)
        return bool(place.log.all(EVENTS))

    await until(taken_in)
    stop.set()
    await asyncio.wait_for(running, PATIENCE_S)
    assert place.names() == []
    assert place.receipt("services.csv").accepted == 1500


@pytest.mark.asyncio
async def test_a_clock_set_back_delays_a_file_and_loses_none(place: Place) -> None:
    (place.folder / "services.csv").write_bytes(b"good 1\n")
    await place.door.look()
    place.clock.passes(-3600)
    await place.look_twice()
    assert place.names("done") == ["services.csv", "services.csv.receipt.json"]


@pytest.mark.asyncio
async def test_a_file_given_by_another_door_before_has_the_same_receipt(place: Place) -> None:
    by_http = await place.intake.receive(Delivery(RIVERSIDE, "http", io.BytesIO(b"good 1\n"), ""))
    (place.folder / "services.txt").write_bytes(b"good 1\n")
    await place.look_twice()
    assert place.receipt("services.txt") == by_http
