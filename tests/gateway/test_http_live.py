"""``/people/{person}/timeline/live`` over a real socket: what is learned arrives, resumable, and the stop ends it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import ExitStack, asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any, NamedTuple

import httpx2
import pytest
import pytest_asyncio

from consumers.timeline.query import Changes, TimelineQuery
from gateway.uses.live import Changed, News, Pace, events
from schemas.errors import StoreUnavailable
from schemas.identifiers import PersonId
from schemas.timeline import Question
from tests.gateway.http_rig import Rig, rigged
from tests.gateway.served import serving
from tests.patience import PATIENCE_S

HEADER = "Date,Member ID,Contact,Attended,NHS Number,What was done\n"


class Told(NamedTuple):
    """One server-sent event."""

    id: str
    name: str
    data: str


@pytest_asyncio.fixture
async def rig(tmp_path: Path) -> AsyncIterator[Rig]:
    async with rigged(tmp_path) as made:
        await made.samples()
        yield made


async def visit(rig: Rig, day: int, attended: str = "yes") -> None:
    """The charity visits on a day of February."""
    row = f"{day:02}/02/2026,W17,Home visit,{attended},9990000018,\n"
    answer = await rig.client.post("/intake/willow-contacts", content=HEADER + row, headers={"content-type": "text/csv"})
    assert answer.status_code == 200, answer.text
    await rig.settle()


class Stream:
    """A live stream that is read event by event."""

    def __init__(self, answer: httpx2.Response) -> None:
        self.answer = answer
        self._lines = answer.aiter_lines()

    async def next(self) -> Told:
        """The next event; comments are passed over."""
        fields: dict[str, str] = {}
        async with asyncio.timeout(PATIENCE_S):
            async for line in self._lines:
                if line:
                    name, _, value = line.partition(": ")
                    fields[name] = value
                elif fields.keys() - {""}:
                    return Told(fields.get("id", ""), fields.get("event", ""), fields.get("data", ""))
        raise AssertionError("the stream ended")

    async def days(self, count: int) -> list[int]:
        """The days of the next ``count`` visits."""
        return [int(json.loads((await self.next()).data)["occurred_at"][8:10]) for _ in range(count)]

    async def rest(self) -> list[str]:
        """What still comes until the end."""
        async with asyncio.timeout(PATIENCE_S):
            return [line async for line in self._lines]


@asynccontextmanager
async def listening(url: str, rig: Rig, query: str = "", **headers: str) -> AsyncIterator[Stream]:
    path = f"{url}/people/{await rig.person()}/timeline/live{query}"
    async with httpx2.AsyncClient(timeout=PATIENCE_S) as client, client.stream("GET", path, headers=headers) as answer:
        assert answer.status_code == 200
        assert answer.headers["content-type"].startswith("text/event-stream")
        yield Stream(answer)


@pytest.mark.asyncio
async def test_what_is_learned_arrives_as_it_stands_on_the_page(rig: Rig) -> None:
    async with serving(rig.app) as url, listening(url, rig) as stream:
        begun = await stream.next()
        assert begun.id
        assert not begun.data, "what is on the page already is not told again"
        await visit(rig, 12)
        told = await stream.next()
        page = (await rig.client.get(f"/people/{await rig.person()}/timeline?kind=contact")).json()
        assert told.name == "entry"
        assert json.loads(told.data) == page["entries"][0]
        rig.services.stopping.set()


def stay(trigger: str, minute: int, ward: str) -> str:
    """A message of one stay of the samples' person, in a ward at a minute of the eighth hour."""
    at = f"2026011508{minute:02}"
    return (
        f"MSH|^~\\&|PAS|RX1|B|C|{at}||ADT^{trigger}|{trigger}{minute}|P|2.4\rEVN|{trigger}|{at}||||{at}\r"
        f"PID|1||NF204417^^^RX1^MR~9990000018^^^NHS^NH\rPV1|1|I|{ward}{'|' * 16}NF-V-1\r"
    )


async def send(rig: Rig, *messages: str) -> None:
    """The hospital's messages come, one after the other."""
    for message in messages:
        headers = {"content-type": "application/hl7-v2"}
        answer = await rig.client.post("/intake/northfield-pas", content=message, headers=headers)
        assert answer.status_code == 200, answer.text
        await rig.settle()


async def titles(stream: Stream, count: int) -> list[str]:
    """The beginnings of the next titles."""
    return [json.loads((await stream.next()).data)["title"].partition(",")[0] for _ in range(count)]


@pytest.mark.asyncio
async def test_an_old_snapshot_that_turns_out_to_say_something_arrives_when_it_does(rig: Rig) -> None:
    await send(rig, stay("A01", 0, "Ash"), stay("A08", 30, "Ash"))
    async with serving(rig.app) as url, listening(url, rig, "?kind=encounter") as stream:
        await stream.next()
        await send(rig, stay("A02", 15, "Elm"))
        assert set(await titles(stream, 2)) == {"Moved to Elm", "Details of the stay updated at Ash"}
        rig.services.stopping.set()


@pytest.mark.asyncio
async def test_a_client_that_was_away_is_told_an_old_snapshot_that_turned_out_to_say_something_meanwhile(rig: Rig) -> None:
    await send(rig, stay("A01", 0, "Ash"), stay("A08", 30, "Ash"))
    async with serving(rig.app) as url:
        async with listening(url, rig, "?type=encounter-changed-1") as stream:
            last = (await stream.next()).id
        await send(rig, stay("A02", 15, "Elm"))
        async with listening(url, rig, "?type=encounter-changed-1", **{"last-event-id": last}) as stream:
            await stream.next()
            assert await titles(stream, 1) == ["Details of the stay updated at Ash"]
            rig.services.stopping.set()


def registered(trigger: str, minute: int, number: str) -> str:
    """A message about a person of the hospital's who was never here before, with an NHS number or none."""
    at = f"2026011509{minute:02}"
    identifiers = f"NF900^^^RX1^MR~{number}^^^NHS^NH" if number else "NF900^^^RX1^MR"
    return (
        f"MSH|^~\\&|PAS|RX1|B|C|{at}||ADT^{trigger}|{trigger}{minute}|P|2.4\rEVN|{trigger}|{at}||||{at}\r"
        f"PID|1||{identifiers}\rPV1|1|I|Oak{'|' * 16}NF-V-9\r"
    )


@pytest.mark.parametrize("away", [True, False])
@pytest.mark.asyncio
async def test_the_older_entries_of_a_record_that_becomes_the_persons_arrive(rig: Rig, away: bool) -> None:
    await send(rig, registered("A01", 0, ""))
    query = "?type=encounter-admitted-1"
    async with serving(rig.app) as url:
        async with listening(url, rig, query) as stream:
            last = (await stream.next()).id
            if not away:
                await send(rig, registered("A08", 30, "9990000018"))
                assert await titles(stream, 1) == ["Admitted to Oak"]
        if away:
            await send(rig, registered("A08", 30, "9990000018"))
            async with listening(url, rig, query, **{"last-event-id": last}) as stream:
                await stream.next()
                assert await titles(stream, 1) == ["Admitted to Oak"]
        rig.services.stopping.set()


@pytest.mark.parametrize("away", [True, False])
@pytest.mark.asyncio
async def test_a_stream_goes_on_with_the_person_who_has_the_records_now(rig: Rig, away: bool) -> None:
    """The record's person is another when it states its NHS number: who followed it by its id before follows it still."""
    await send(rig, registered("A01", 0, ""))
    system = "urn:care-backbone:source:northfield-pas"
    before = (await rig.client.post("/people/search", json={"system": system, "value": "NF900"})).json()["person"]
    async with serving(rig.app) as url, httpx2.AsyncClient(timeout=PATIENCE_S) as client:
        path, resume = f"{url}/people/{before}/timeline/live?type=encounter-discharged-1", {}
        if away:
            async with client.stream("GET", path) as answer:
                resume = {"last-event-id": (await Stream(answer).next()).id}
            await send(rig, registered("A08", 30, "9990000018"))
        async with client.stream("GET", path, headers=resume) as answer:
            stream = Stream(answer)
            await stream.next()
            if not away:
                await send(rig, registered("A08", 30, "9990000018"))
            await send(rig, registered("A03", 45, "9990000018"))
            assert set(await titles(stream, 2)) == {"Discharged from KM", "Discharged from Oak"}
            rig.services.stopping.set()


async def gone_of(stream: Stream) -> str:
    """Id of the entry that the next event says is gone."""
    told = await stream.next()
    assert told.name == "gone", told
    assert told.id
    said: dict[str, str] = json.loads(told.data)
    assert said.keys() == {"id"}, "nothing but the entry's id"
    return said["id"]


@asynccontextmanager
async def after(url: str, rig: Rig, query: str, happens: Callable[[], Awaitable[None]], away: bool) -> AsyncIterator[Stream]:
    """A stream to whose client something happens, while it listens or while it is away."""
    async with listening(url, rig, query) as stream:
        last = (await stream.next()).id
        if not away:
            await happens()
            yield stream
    if away:
        await happens()
        async with listening(url, rig, query, **{"last-event-id": last}) as stream:
            await stream.next()
            yield stream


async def entries(rig: Rig, query: str) -> list[dict[str, Any]]:
    """What stands on the page."""
    found: list[dict[str, Any]] = (await rig.client.get(f"/people/{await rig.person()}/timeline{query}")).json()["entries"]
    return found


@pytest.mark.parametrize("away", [True, False])
@pytest.mark.asyncio
async def test_a_withdrawn_entry_is_gone(rig: Rig, away: bool) -> None:
    await send(rig, stay("A01", 0, "Ash"), stay("A02", 15, "Elm"))
    [moved] = [one for one in await entries(rig, "?type=encounter-transferred-1") if "Elm" in one["title"]]
    async with (
        serving(rig.app) as url,
        after(url, rig, "?type=encounter-transferred-1", lambda: send(rig, stay("A12", 20, "Elm")), away) as stream,
    ):
        assert await gone_of(stream) == moved["id"]
        rig.services.stopping.set()
    assert moved["id"] not in [one["id"] for one in await entries(rig, "")]


@pytest.mark.parametrize("away", [True, False])
@pytest.mark.asyncio
async def test_a_corrected_entry_is_gone_before_the_one_in_its_place_is_told(rig: Rig, away: bool) -> None:
    await visit(rig, 12)
    before = (await entries(rig, "?kind=contact"))[0]["id"]
    async with (
        serving(rig.app) as url,
        after(url, rig, "?kind=contact", lambda: visit(rig, 12, "no"), away) as stream,
    ):
        assert await gone_of(stream) == before
        told = await stream.next()
        assert (told.name, json.loads(told.data)["replaces"]) == ("entry", before)
        rig.services.stopping.set()


@pytest.mark.parametrize("away", [True, False])
@pytest.mark.asyncio
async def test_an_entry_whose_correction_was_not_asked_for_is_gone_all_the_same(rig: Rig, away: bool) -> None:
    await visit(rig, 12)
    before = (await entries(rig, "?type=contact-made-1"))[0]["id"]
    async with (
        serving(rig.app) as url,
        after(url, rig, "?type=contact-made-1", lambda: visit(rig, 12, "no"), away) as stream,
    ):
        assert await gone_of(stream) == before
        rig.services.stopping.set()


@pytest.mark.parametrize("away", [True, False])
@pytest.mark.asyncio
async def test_the_entries_of_a_record_that_becomes_another_persons_are_gone(rig: Rig, away: bool) -> None:
    await send(rig, registered("A01", 0, "9990000018"))
    query = "?type=encounter-admitted-1"
    mine = [one["id"] for one in await entries(rig, query) if "Oak" in one["title"]]
    async with (
        serving(rig.app) as url,
        after(url, rig, query, lambda: send(rig, registered("A08", 30, "9990000026")), away) as stream,
    ):
        assert [await gone_of(stream)] == mine
        rig.services.stopping.set()
    assert not [one for one in await entries(rig, query) if "Oak" in one["title"]]


@pytest.mark.asyncio
async def test_who_was_told_that_an_entry_is_gone_is_not_told_again(rig: Rig) -> None:
    await send(rig, stay("A01", 0, "Ash"), stay("A02", 15, "Elm"))
    query = "?type=encounter-transferred-1"
    async with serving(rig.app) as url:
        async with after(url, rig, query, lambda: send(rig, stay("A12", 20, "Elm")), away=True) as stream:
            last = await stream.next()
            assert last.name == "gone"
        async with listening(url, rig, query, **{"last-event-id": last.id}) as stream:
            await stream.next()
            await send(rig, stay("A02", 40, "Fir"))
            assert await titles(stream, 1) == ["Moved to Fir"]
            rig.services.stopping.set()


@pytest.mark.parametrize("resume", ["header", "query"])
@pytest.mark.asyncio
async def test_a_client_that_comes_back_misses_nothing_and_sees_nothing_twice(rig: Rig, resume: str) -> None:
    async with serving(rig.app) as url:
        async with listening(url, rig) as stream:
            last = (await stream.next()).id
        await visit(rig, 12)
        await visit(rig, 13)
        seen: list[int] = []
        for _ in range(2):
            query, headers = ("", {"last-event-id": last}) if resume == "header" else (f"?after={last}", {})
            async with listening(url, rig, query, **headers) as stream:
                assert (await stream.next()).id == last
                told = await stream.next()
                last = told.id
                seen.append(int(json.loads(told.data)["occurred_at"][8:10]))
        async with listening(url, rig, **{"last-event-id": last}) as stream:
            await stream.next()
            await visit(rig, 14)
            assert [*seen, *await stream.days(1)] == [12, 13, 14]
            rig.services.stopping.set()


@pytest.mark.asyncio
async def test_a_stream_is_filtered_as_a_page_is(rig: Rig) -> None:
    async with (
        serving(rig.app) as url,
        listening(url, rig, "?sector=nhs") as hospital,
        listening(url, rig, "?kind=contact&include=resource") as contacts,
    ):
        await hospital.next(), await contacts.next()
        await visit(rig, 12)
        told = json.loads((await contacts.next()).data)
        assert told["resource"]["resourceType"] == "Bundle"
        rig.services.stopping.set()
        assert not any("event" in line for line in await hospital.rest())


@pytest.mark.asyncio
async def test_the_stop_ends_every_stream_and_says_when_to_come_back(rig: Rig) -> None:
    async with serving(rig.app) as url, listening(url, rig) as stream:
        text = [await stream.next()]
        rig.services.stopping.set()
        assert await stream.rest() == []
        assert text[0].id


@pytest.mark.parametrize(
    ("query", "headers", "where"),
    [
        ("?after=nonsense", {}, "parameter after"),
        ("", {"last-event-id": "nonsense"}, "header Last-Event-ID"),
        ("?after=nonsense", {"last-event-id": "nonsense"}, "header Last-Event-ID"),
        ("", {"last-event-id": "a b"}, "header Last-Event-ID"),
        ("?limit=5", {}, "query"),
        ("?as_of=2026", {}, "query"),
    ],
)
@pytest.mark.asyncio
async def test_what_cannot_be_resumed_is_refused_before_the_stream_begins(
    rig: Rig, query: str, headers: dict[str, str], where: str
) -> None:
    answer = await rig.client.get(f"/people/{await rig.person()}/timeline/live{query}", headers=headers)
    assert (answer.status_code, answer.json()["code"], answer.json()["where"]) == (400, "invalid-request", where)


@pytest.mark.asyncio
async def test_without_a_store_no_stream_begins(rig: Rig, tmp_path: Path) -> None:
    person = await rig.person()
    await rig.lose_the_store(tmp_path)
    assert (await rig.client.get(f"/people/{person}/timeline/live")).status_code == 503


class Scripted(TimelineQuery):
    """Answers from a script; then the server stops."""

    def __init__(self, script: Sequence[Changes | StoreUnavailable], stopping: asyncio.Event) -> None:
        self._script = list(script)
        self._stopping = stopping
        self.asked: list[str | None] = []

    async def changes(self, question: Question, known: frozenset[int] | None = None) -> Changes:
        self.asked.append(question.after)
        if not self._script:
            self._stopping.set()
            return Changes((), question.after or "")
        answer = self._script.pop(0)
        if isinstance(answer, StoreUnavailable):
            raise answer
        return answer


async def everybody() -> None:
    """Anybody's timeline may have changed, always."""


async def nobody() -> frozenset[PersonId]:
    """Nobody's timeline has changed."""
    return frozenset()


async def told_by(
    script: Sequence[Any], changed: Changed = everybody, **pace: timedelta
) -> tuple[list[bytes], list[str | None]]:
    stopping = asyncio.Event()
    query = Scripted(script, stopping)
    asked = Question(person=PersonId("p"))
    stream = events(query, asked, Changes((), "0"), News(changed, stopping, timedelta(0)), Pace(timedelta(0), **pace))
    return [piece async for piece in stream], query.asked


@pytest.mark.asyncio
async def test_a_store_that_is_away_for_a_while_does_not_end_the_stream() -> None:
    told, asked = await told_by([StoreUnavailable(), StoreUnavailable(), Changes([("1", b"{}")], "1")])
    assert told == [b"retry: 1000\nid: 0\n\n", b"event: entry\nid: 1\ndata: {}\n\n"]
    assert asked == ["0", "0", "0", "1"]


@pytest.mark.asyncio
async def test_a_stream_asks_again_by_itself_when_the_store_did_not_answer_it() -> None:
    told, _ = await told_by([StoreUnavailable()], nobody)
    assert told == [b"retry: 1000\nid: 0\n\n"]


@pytest.mark.asyncio
async def test_a_silent_stream_is_kept_open_by_comments() -> None:
    told, _ = await told_by([Changes((), "0")] * 3, heartbeat=timedelta(microseconds=-1))
    assert set(told[1:]) == {b": still here\n\n"}
    assert len(told) > 3


@pytest.mark.asyncio
async def test_a_stream_does_not_wait_for_a_reader_that_failed() -> None:
    async def broken() -> frozenset[PersonId]:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await told_by([Changes((), "0")] * 3, broken)


@pytest.mark.asyncio
async def test_many_streams_share_one_reader_that_ends_with_the_last_of_them() -> None:
    looked: list[int] = []

    async def changed() -> frozenset[PersonId]:
        looked.append(len(looked))
        await asyncio.sleep(0)
        return frozenset({PersonId("p1")})

    news = News(changed, asyncio.Event(), timedelta(hours=1))
    people = [PersonId(f"p{number}") for number in range(3)]
    with ExitStack() as listening:
        ears = [listening.enter_context(news.listening(person)) for person in people]
        soon = asyncio.get_running_loop().time() + PATIENCE_S
        assert all([await ear.heard(soon) for ear in ears]), "everything from before is news"
        assert await ears[1].heard(soon)
        now = asyncio.get_running_loop().time()
        assert [await ear.heard(now) for ear in ears] == [False, False, False]
    assert looked == [0]
    with news.listening(people[1]) as ear:
        assert await ear.heard(soon)
        assert await ear.heard(soon)
    assert looked == [0, 1]
