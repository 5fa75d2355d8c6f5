"""What operators see, and what they must not."""

from __future__ import annotations

import json
import logging
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

import pytest

from adapters.observe import CORRELATION, Correlation, IntakeObserver
from consumers.following.lag import Lag, Waiting
from gateway.watching.log_lines import JsonLines, TextLines, log_lines
from gateway.watching.measures import MEASURES, MetricKind
from gateway.watching.telemetry import Metrics
from schemas.log import EVENTS, RECEIPTS, Record


@pytest.fixture
def restored_logging() -> Any:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    logging.raiseExceptions = True


def line_of(record: logging.LogRecord) -> dict[str, Any]:
    text = JsonLines().format(record)
    assert "\n" not in text
    found: dict[str, Any] = json.loads(text)
    return found


def record(message: str, *parts: object, error: BaseException | None = None) -> logging.LogRecord:
    info = (type(error), error, error.__traceback__) if error else None
    return logging.LogRecord("backbone.gateway", logging.WARNING, "x.py", 1, message, parts, info)  # type: ignore[arg-type] # as logging makes it


def test_the_metrics_observe_the_doors() -> None:
    metrics = Metrics()
    observer: IntakeObserver = metrics
    observer.arrived("northfield-pas", "mllp", accepted=2, rejected=1)
    observer.repeated("northfield-pas", "mllp", accepted=2, rejected=1)
    observer.appended(3, 0.004)
    observer.faulted("mllp", "half-frame")
    observer.connected("mllp", 5)
    text = metrics.exposition().decode()
    assert 'backbone_items_total{door="mllp",outcome="accepted",source="northfield-pas"} 2.0' in text
    assert 'backbone_items_total{door="mllp",outcome="rejected",source="northfield-pas"} 1.0' in text
    assert 'backbone_arrivals_repeated_total{door="mllp",source="northfield-pas"} 1.0' in text
    assert "backbone_log_records_appended_total 3.0" in text
    assert 'backbone_log_append_seconds_bucket{le="0.005"} 1.0' in text
    assert 'backbone_door_faults_total{code="half-frame",door="mllp"} 1.0' in text
    assert 'backbone_door_connections{door="mllp"} 5.0' in text


def test_the_metrics_observe_answers_and_projections() -> None:
    metrics = Metrics()
    metrics.answered("/people/{person}", "GET", 200, 0.02)
    metrics.behind("timeline", Lag(7, 1.5, {3: Waiting(7, 1.5), 4: Waiting(0, 0.0)}, parked=2))
    metrics.heard("northfield-pas", datetime.fromtimestamp(1_770_000_000, UTC), timedelta(days=1))
    metrics.heard("willow-contacts", None, None)
    metrics.measured(datetime.fromtimestamp(1_770_000_060, UTC))
    metrics.applied(
        [Record(topic, 0, offset, "key", b"", 0.0) for topic, offset in ((EVENTS, 1), (EVENTS, 2), (RECEIPTS, 1))], 0.02
    )
    text = metrics.exposition().decode()
    assert 'backbone_http_request_seconds_count{method="GET",route="/people/{person}",status="200"} 1.0' in text
    assert 'backbone_projection_behind_events{partition="3",projection="timeline"} 7.0' in text
    assert 'backbone_projection_behind_events{partition="4",projection="timeline"} 0.0' in text
    assert 'backbone_projection_behind_seconds{partition="3",projection="timeline"} 1.5' in text
    assert 'backbone_projection_parked_events{projection="timeline"} 2.0' in text
    assert 'backbone_source_heard_timestamp_seconds{source="northfield-pas"} 1.77e+09' in text
    assert 'backbone_source_expected_seconds{source="northfield-pas"} 86400.0' in text
    assert 'backbone_source_heard_timestamp_seconds{source="willow-contacts"} 0.0' in text
    assert "backbone_measured_timestamp_seconds 1.77000006e+09" in text
    assert 'backbone_projection_records_total{topic="backbone.events"} 2.0' in text
    assert 'backbone_projection_records_total{topic="backbone.receipts"} 1.0' in text
    assert 'backbone_projection_batch_seconds_bucket{le="0.025"} 1.0' in text


class Held(NamedTuple):
    used: int
    limit: int


def test_pools_are_asked_when_somebody_looks_and_added_up() -> None:
    metrics = Metrics()
    held = {"reading": Held(1, 5), "writing": Held(0, 5)}
    metrics.watch(lambda: held)
    metrics.watch(second := lambda: {"reading": Held(2, 5)})
    held["writing"] = Held(4, 5)
    text = metrics.exposition().decode()
    assert 'backbone_store_pool_used_connections{use="reading"} 3.0' in text
    assert 'backbone_store_pool_limit_connections{use="reading"} 10.0' in text
    assert 'backbone_store_pool_used_connections{use="writing"} 4.0' in text
    metrics.unwatch(second)
    assert 'backbone_store_pool_used_connections{use="reading"} 1.0' in metrics.exposition().decode()


def test_the_table_lists_every_metric_as_it_is_served() -> None:
    served = {family.name: (family.type, family.documentation) for family in Metrics().registry.collect()}
    ours = {name: what for name, what in served.items() if not name.startswith(("process_", "python_"))}
    assert ours == {measure.name.removesuffix("_total"): (measure.kind, measure.says) for measure in MEASURES}


LABELS = {"source", "door", "outcome", "code", "route", "method", "status", "topic", "projection", "partition"}
"""What labels may hold: a new one is to be looked at with promise P12 in mind."""


@pytest.mark.parametrize("measure", MEASURES, ids=lambda measure: measure.name)
def test_a_metric_is_named_by_the_conventions(measure: Any) -> None:
    assert measure.name.startswith("backbone_")
    assert measure.name.endswith("_total") == (measure.kind is MetricKind.COUNTER)
    assert measure.kind is not MetricKind.HISTOGRAM or measure.name.endswith("_seconds")
    assert measure.says.endswith(".") and "\n" not in measure.says
    assert set(measure.labels) <= LABELS | {"use", "version", "python", "state"}


def test_what_a_declared_source_sends_is_counted_from_0() -> None:
    metrics = Metrics()
    metrics.declare("willow-contacts", ["folder"])
    text = metrics.exposition().decode()
    for outcome in ("accepted", "rejected"):
        assert f'backbone_items_total{{door="folder",outcome="{outcome}",source="willow-contacts"}} 0.0' in text
    assert 'backbone_arrivals_total{door="folder",source="willow-contacts"} 0.0' in text


@pytest.mark.parametrize("door", ["mllp", "http", "folder"])
@pytest.mark.parametrize("code", ["translator-failed", "log-unavailable"])
def test_what_an_alert_waits_for_is_counted_from_0(door: str, code: str) -> None:
    assert f'backbone_door_faults_total{{code="{code}",door="{door}"}} 0.0' in Metrics().exposition().decode()


def test_two_servers_in_one_process_count_apart() -> None:
    first, second = Metrics(), Metrics()
    first.faulted("mllp", "half-frame")
    assert b"half-frame" not in second.exposition()


def test_a_message_is_one_json_object_on_one_line() -> None:
    line = line_of(record("took %d\nrecords", 3))
    assert line["message"] == "took 3\nrecords"
    assert line["level"] == "warning"
    assert line["at"].endswith("Z")


def test_a_correlation_id_goes_with_the_message() -> None:
    asked = CORRELATION.set(Correlation("0d2b6f1f"))
    try:
        assert line_of(record("slow"))["correlation"] == "0d2b6f1f"
        assert TextLines().format(record("slow")).endswith("backbone.gateway: slow  correlation=0d2b6f1f")
    finally:
        CORRELATION.reset(asked)
    assert "correlation" not in line_of(record("slow"))


@pytest.mark.usefixtures("restored_logging")
@pytest.mark.parametrize(("form", "as_json"), [("json", True), ("auto", True), ("text", False)])
def test_the_form_is_that_of_the_setting_and_json_where_nobody_sits(
    form: str, as_json: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    log_lines("info", form)
    logging.getLogger("backbone").handle(logging.makeLogRecord({"msg": "heard", "created": 1.6e9 + 12 * 3600, "levelno": 30}))
    line = capsys.readouterr().err
    assert "heard" in line
    assert line.startswith("{") == as_json


def test_of_an_exception_only_its_kind_and_place_are_written() -> None:
    def fails() -> None:
        raise ValueError("9990000018 is not a date")

    try:
        fails()
    except ValueError as error:
        line = line_of(record("failed", error=error))
    assert line["exception"].startswith("ValueError at ")
    assert f"{__name__}:" in line["exception"]
    assert "9990000018" not in json.dumps(line)


@pytest.mark.usefixtures("restored_logging")
def test_messages_below_the_level_are_not_written(capsys: pytest.CaptureFixture[str]) -> None:
    log_lines("warning")
    logging.getLogger("backbone").info("unheard")
    logging.getLogger("backbone").warning("heard")
    assert [json.loads(line)["message"] for line in capsys.readouterr().err.splitlines()] == ["heard"]


@pytest.mark.usefixtures("restored_logging")
def test_messages_go_to_standard_error(capsys: pytest.CaptureFixture[str]) -> None:
    log_lines("info")
    logging.getLogger("backbone").info("heard")
    captured = capsys.readouterr()
    assert captured.out == ""
    assert json.loads(captured.err)["logger"] == "backbone"
