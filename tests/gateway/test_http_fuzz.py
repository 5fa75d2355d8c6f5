"""Whatever the documentation allows, and what it does not, is answered as documented and never by an error of ours."""

from __future__ import annotations

import asyncio
import queue
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from schemathesis.specs.openapi.checks import positive_data_acceptance

from consumers.following.projecting import projecting
from consumers.following.runner import Runner
from tests.gateway.http_rig import Rig, rigged
from tests.gateway.served import serving
from tests.gateway.test_http_words import PATHS
from tests.patience import PATIENCE_S

EXAMPLES = 20
"""Requests for each operation; the long form has fifty times as many."""
# `positive_data_acceptance` is left out: which sources are declared and which cursors were given stands in no schema.
LIVE = "/people/{person}/timeline/live"
"""Its answer has no end."""


class Open(NamedTuple):
    """A server with somebody's timeline."""

    url: str
    person: str


async def _serve(folder: Path, tell: Callable[[Open], None], stop: asyncio.Event) -> None:
    async with rigged(folder) as rig, serving(rig.app) as url:
        await rig.samples()
        running = [asyncio.create_task(runner.run(asyncio.Event())) for runner in _runners(rig)]
        tell(Open(url, await rig.person()))
        await stop.wait()
        for task in running:
            task.cancel()
        await asyncio.wait(running)


def _runners(rig: Rig) -> list[Runner]:
    return [projecting(rig.projections, rig.log, rig.database, "fuzz", lambda: rig.now)]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Open]:
    loop, stop = asyncio.new_event_loop(), asyncio.Event()
    told: queue.Queue[Open] = queue.Queue()
    serve = _serve(tmp_path_factory.mktemp("fuzz"), told.put, stop)
    thread = threading.Thread(target=lambda: loop.run_until_complete(serve))
    thread.start()
    yield told.get(timeout=PATIENCE_S)
    loop.call_soon_threadsafe(stop.set)
    thread.join(PATIENCE_S)
    assert not thread.is_alive()
    loop.close()


@pytest.fixture(scope="module")
def api(server: Open) -> Any:
    return schemathesis.openapi.from_url(f"{server.url}/openapi.json")


OPERATIONS = pytest.mark.parametrize(("method", "path"), sorted(PATHS - {("get", LIVE)}))


@OPERATIONS
@given(data=st.data())
@settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck))
def test_every_answer_is_as_documented(api: Any, server: Open, method: str, path: str, data: st.DataObject) -> None:
    _ask(api[path][method], server, data)


@pytest.mark.soak
@OPERATIONS
@given(data=st.data())
@settings(max_examples=EXAMPLES * 50, deadline=None, suppress_health_check=list(HealthCheck))
def test_many_more_answers_are_as_documented(api: Any, server: Open, method: str, path: str, data: st.DataObject) -> None:
    _ask(api[path][method], server, data)


def _ask(operation: Any, server: Open, data: st.DataObject) -> None:
    """Ask what the documentation allows, or what it does not; of a person, where it can be, of the one who is there."""
    case = data.draw(operation.as_strategy())
    for name in {"person", "id"} & set(case.path_parameters or {}):
        if len(str(case.path_parameters[name])) == len(server.person):
            case.path_parameters[name] = server.person
    case.validate_response(case.call(), excluded_checks=[positive_data_acceptance])
