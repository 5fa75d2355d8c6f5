"""What operators see, and what they must not."""

from __future__ import annotations

import json
import logging
from typing import Any

import pytest

from adapters.observe import Observer
from gateway.telemetry import JsonLines, Metrics, log_json_lines


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
    observer: Observer = metrics
    observer.arrived("northfield-pas", "mllp", accepted=2, rejected=1)
    observer.repeated("northfield-pas", "mllp")
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
    metrics.behind("timeline", 7, 1.5)
    text = metrics.exposition().decode()
    assert 'backbone_http_request_seconds_count{method="GET",route="/people/{person}",status="200"} 1.0' in text
    assert 'backbone_projection_behind_events{projection="timeline"} 7.0' in text
    assert 'backbone_projection_behind_seconds{projection="timeline"} 1.5' in text


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
    made = record("slow")
    made.correlation = "0d2b6f1f"
    assert line_of(made)["correlation"] == "0d2b6f1f"


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
    log_json_lines("warning")
    logging.getLogger("backbone").info("unheard")
    logging.getLogger("backbone").warning("heard")
    assert [json.loads(line)["message"] for line in capsys.readouterr().err.splitlines()] == ["heard"]


@pytest.mark.usefixtures("restored_logging")
def test_messages_go_to_standard_error(capsys: pytest.CaptureFixture[str]) -> None:
    log_json_lines("info")
    logging.getLogger("backbone").info("heard")
    captured = capsys.readouterr()
    assert captured.out == ""
    assert json.loads(captured.err)["logger"] == "backbone"
