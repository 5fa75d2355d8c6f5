"""Dashboard and alerts: they ask for metrics there are, and each alert is explained where its runbook line points."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from typing import Any

import pytest

from gateway.watching.measures import MEASURES, MetricKind
from tests.deploy.files import DEPLOY, ROOT, documents

RULES: list[dict[str, Any]] = documents(DEPLOY / "prometheus" / "alerts.yaml")[0]["groups"][0]["rules"]
DASHBOARD: dict[str, Any] = json.loads((DEPLOY / "grafana" / "backbone.json").read_text())
OTHERS = {"up", "process_cpu_seconds_total", "process_resident_memory_bytes"}
"""Prometheus' own, and those of its client library."""
BROUGHT = {"le", "job", "instance", "alertname", "alertstate"}
"""Labels that Prometheus adds."""


def _expressions() -> Iterator[tuple[str, str]]:
    yield from ((rule["alert"], rule["expr"]) for rule in RULES)
    yield from ((panel["title"], target["expr"]) for panel in DASHBOARD["panels"] for target in panel["targets"])


EXPRESSIONS = list(_expressions())
SERVED = {
    name: set(measure.labels)
    for measure in MEASURES
    for name in (
        [f"{measure.name}{part}" for part in ("_bucket", "_sum", "_count")]
        if measure.kind is MetricKind.HISTOGRAM
        else [measure.name]
    )
}
_METRIC = re.compile(r"\b(?:backbone|process)_\w+|\bup\b")
_BY = re.compile(r"\bby \(([^)]*)\)")
_MATCHED = re.compile(r"(\w+)\{([^}]*)\}")
_LABEL = re.compile(r"(\w+)(?:=~|!~|!=|=)")


@pytest.mark.parametrize(("where", "expression"), EXPRESSIONS, ids=[where for where, _ in EXPRESSIONS])
def test_an_expression_asks_for_metrics_and_labels_there_are(where: str, expression: str) -> None:
    metrics = set(_METRIC.findall(re.sub(r'"[^"]*"', '""', expression)))
    assert metrics
    assert metrics <= SERVED.keys() | OTHERS
    labels = set().union(*(SERVED.get(metric, set()) for metric in metrics)) | BROUGHT
    grouped = {label.strip() for listed in _BY.findall(expression) for label in listed.split(",")}
    assert grouped <= labels
    for metric, matched in _MATCHED.findall(expression):
        assert set(_LABEL.findall(matched)) <= SERVED.get(metric, set()) | BROUGHT


def test_every_metric_is_looked_at_by_somebody() -> None:
    asked = {metric for _, expression in EXPRESSIONS for metric in _METRIC.findall(expression)}
    unseen = {m.name for m in MEASURES if not {m.name, f"{m.name}_bucket", f"{m.name}_count"} & asked}
    assert unseen == set()


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule["alert"])
def test_an_alert_says_what_to_do_and_where_to_read_on(rule: dict[str, Any]) -> None:
    said = rule["annotations"]
    assert said["summary"].endswith(".") and said["action"].endswith(".")
    assert rule["labels"]["severity"] in ("page", "ticket")
    document, _, anchor = said["runbook"].partition("#")
    headings = re.findall(r"^#+ (.+)$", (ROOT / document).read_text(), re.M)
    assert anchor == rule["alert"].lower()
    assert rule["alert"] in headings


def test_no_two_panels_lie_on_each_other() -> None:
    taken = [
        (x, y)
        for panel in DASHBOARD["panels"]
        for x in range(panel["gridPos"]["x"], panel["gridPos"]["x"] + panel["gridPos"]["w"])
        for y in range(panel["gridPos"]["y"], panel["gridPos"]["y"] + panel["gridPos"]["h"])
    ]
    assert len(taken) == len(set(taken))
    assert max(x for x, _ in taken) < 24  # Grafana's grid
    assert len({panel["id"] for panel in DASHBOARD["panels"]}) == len(DASHBOARD["panels"])


@pytest.mark.skipif(shutil.which("promtool") is None, reason="promtool is not here: Debian has it in its package prometheus")
@pytest.mark.parametrize(
    ("command", "file"),
    [(("check", "rules"), "alerts.yaml"), (("check", "config"), "prometheus.yaml"), (("test", "rules"), "alerts.test.yaml")],
)
def test_prometheus_own_tool_finds_nothing_wrong(command: tuple[str, str], file: str) -> None:
    done = subprocess.run(
        ["promtool", *command, str(DEPLOY / "prometheus" / file)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_alert_has_a_test_of_its_rule() -> None:
    tested = (DEPLOY / "prometheus" / "alerts.test.yaml").read_text()
    assert [rule["alert"] for rule in RULES if not re.search(rf"\b{rule['alert']}\b", tested)] == []
