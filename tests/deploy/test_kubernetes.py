"""The Kubernetes resources: what can be seen of them without a cluster."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest

from adapters.eventlog.kafka.shape import TopicShape, settings
from gateway.processes.split import Role
from gateway.routes import health
from schemas.log import TOPICS
from tests.deploy.files import KUBERNETES, documents, resources, settings_of

RESOURCES = list(resources())
OPERATORS = ("kafka.strimzi.io/", "postgresql.cnpg.io/", "monitoring.coreos.com/", "kustomize.config.k8s.io/")
"""Their schemas are not in Kubernetes' own, and no package has them."""
PLAIN = [(file, one) for file, one in RESOURCES if not one["apiVersion"].startswith(OPERATORS)]
_RUN = [one for _, one in RESOURCES if one["kind"] in ("Deployment", "StatefulSet")]
WORKLOADS = {one["spec"]["template"]["metadata"]["labels"]["app.kubernetes.io/component"]: one for one in _RUN}
ROLES = [role.value for role in Role]


def of_kind(kind: str) -> list[dict[str, Any]]:
    return [one for _, one in RESOURCES if one["kind"] == kind]


def named(kind: str, name: str) -> dict[str, Any]:
    return next(one for one in of_kind(kind) if one["metadata"]["name"] == name)


def pod(role: str) -> dict[str, Any]:
    found: dict[str, Any] = WORKLOADS[role]["spec"]["template"]["spec"]
    return found


def container(role: str) -> dict[str, Any]:
    (found,) = pod(role)["containers"]
    return dict(found)


@pytest.mark.parametrize("version", ["1.31", "1.34", "1.37"])
@pytest.mark.parametrize(("file", "resource"), PLAIN, ids=[f"{file}-{one['metadata']['name']}" for file, one in PLAIN])
def test_a_resource_keeps_the_published_schema(file: str, resource: dict[str, Any], version: str) -> None:
    held_to = kubernetes_validate.validate(resource, version, strict=True)
    assert held_to == version


def test_a_misspelt_key_would_be_found() -> None:
    wrong = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"nmae": "care-backbone"}}
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(wrong, "1.34", strict=True)


def test_everything_is_applied_but_what_needs_one_more_operator() -> None:
    applied = set(documents(KUBERNETES / "kustomization.yaml")[0]["resources"])
    assert {file.name for file in KUBERNETES.glob("*.yaml")} - applied == {"kustomization.yaml", "monitoring.yaml"}


def test_there_is_a_workload_for_every_role_there_is_work_for() -> None:
    assert sorted(WORKLOADS) == sorted(ROLES)
    assert all(container(role)["args"] == ["serve", "--only", role] for role in ROLES)


@pytest.mark.parametrize("role", ROLES)
def test_a_pod_starts_with_these_settings(role: str, tmp_path: Path) -> None:
    environment = dict(named("ConfigMap", "backbone-environment")["data"])
    for variable in container(role)["env"]:
        source = variable.get("valueFrom", {}).get("secretKeyRef", {}).get("key", "")
        made = {"uri": "postgresql://backbone:secret@store-rw.care-backbone:5432/backbone", "password": "Secret1"}
        environment[variable["name"]] = variable.get("value", made.get(source, "backbone-projections-0"))
    known = {name: value for name, value in environment.items() if "$(" not in value}
    for name, value in known.items():
        environment["BACKBONE_LOG"] = environment["BACKBONE_LOG"].replace(f"$({name})", value)
    assert "$(" not in environment["BACKBONE_LOG"]
    found = settings_of(environment, [], tmp_path)
    assert not found.log.embedded
    assert found.store.embedded == (role == "intake")
    ports = {port["name"]: port["containerPort"] for port in container(role).get("ports", [])}
    assert found.health is not None
    doors = {"gateway": {"http": found.http.port}, "intake": {"mllp": found.mllp.port}, "projections": {}}[role]
    assert ports == {**doors, "health": found.health.port}


@pytest.mark.parametrize("role", ROLES)
def test_a_pod_keeps_the_restricted_profile(role: str) -> None:
    assert pod(role)["securityContext"]["runAsNonRoot"] is True
    assert pod(role)["securityContext"]["runAsUser"] == 10001
    assert pod(role)["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    within = container(role)["securityContext"]
    assert within == {"allowPrivilegeEscalation": False, "readOnlyRootFilesystem": True, "capabilities": {"drop": ["ALL"]}}
    assert pod(role)["automountServiceAccountToken"] is False
    assert container(role)["resources"]["limits"]["memory"]


@pytest.mark.parametrize("role", ROLES)
def test_no_service_puts_unknown_settings_into_the_environment(role: str) -> None:
    """A Service called ``backbone-gateway`` would set ``BACKBONE_GATEWAY_PORT`` in every pod, and none would start."""
    assert pod(role)["enableServiceLinks"] is False


@pytest.mark.parametrize("role", ROLES)
def test_a_probe_asks_what_is_answered(role: str) -> None:
    answered = {route.path for route in health.routes.routes if hasattr(route, "path")}
    for kind in ("startupProbe", "livenessProbe", "readinessProbe"):
        asked = container(role)[kind]["httpGet"]
        assert asked["port"] == "health"
        assert asked["path"].partition("?")[0] in answered
    assert container(role)["livenessProbe"]["httpGet"]["path"] == "/health/live"
    wanted = "/health/ready?part=either" if role == "gateway" else "/health/ready"
    assert container(role)["readinessProbe"]["httpGet"]["path"] == wanted


@pytest.mark.parametrize("role", ROLES)
def test_a_stop_has_the_time_that_the_settings_give_it(role: str, tmp_path: Path) -> None:
    environment = {"BACKBONE_DATA": str(tmp_path), "BACKBONE_HEALTH": "127.0.0.1:8081"}
    assert pod(role)["terminationGracePeriodSeconds"] > settings_of(environment, [], tmp_path).limits.stop.total_seconds() + 2


@pytest.mark.parametrize("role", ROLES)
def test_one_pod_of_a_role_may_go_at_a_time(role: str) -> None:
    labels = {"app.kubernetes.io/name": "backbone", "app.kubernetes.io/component": role}
    assert WORKLOADS[role]["spec"]["selector"]["matchLabels"] == labels
    assert WORKLOADS[role]["spec"]["replicas"] >= 2
    (budget,) = [one for one in of_kind("PodDisruptionBudget") if one["spec"]["selector"]["matchLabels"] == labels]
    assert budget["spec"]["maxUnavailable"] == 1
    assert named("Service", f"backbone-{role}")["spec"]["selector"] == labels


@pytest.mark.parametrize("role", ROLES)
def test_what_a_pod_mounts_is_there(role: str) -> None:
    assert {mount["name"] for mount in container(role)["volumeMounts"]} == {volume["name"] for volume in pod(role)["volumes"]}
    maps = {volume["configMap"]["name"] for volume in pod(role)["volumes"] if "configMap" in volume}
    assert maps | {source["configMapRef"]["name"] for source in container(role)["envFrom"]} <= {
        one["metadata"]["name"] for one in of_kind("ConfigMap")
    }
    secrets = {volume["secret"]["secretName"] for volume in pod(role)["volumes"] if "secret" in volume}
    user, cluster = of_kind("KafkaUser")[0]["metadata"]["name"], of_kind("Kafka")[0]["metadata"]["name"]
    assert secrets == {"backbone-key-secret", f"{cluster}-cluster-ca-cert"}
    asked = {v["valueFrom"]["secretKeyRef"]["name"] for v in container(role)["env"] if "secretKeyRef" in v.get("valueFrom", {})}
    store = of_kind("Cluster")[0]["metadata"]["name"]
    assert asked == ({user} if role == "intake" else {user, f"{store}-app"})


def test_no_secret_stands_in_a_file() -> None:
    assert of_kind("Secret") == []


def test_nothing_is_reached_but_what_is_named() -> None:
    shut = named("NetworkPolicy", "nothing-unless-named")["spec"]
    assert shut["policyTypes"] == ["Ingress", "Egress"]
    assert "ingress" not in shut
    ports = {port["containerPort"] for role in ROLES for port in container(role).get("ports", [])}
    opened = [rule for one in of_kind("NetworkPolicy") for rule in one["spec"].get("ingress", [])]
    assert {port["port"] for rule in opened for port in rule["ports"]} == ports
    assert all(rule.get("from") for rule in opened)  # never from everywhere


@pytest.mark.parametrize("topic", TOPICS)
def test_a_topic_is_as_the_backbone_makes_it(topic: str) -> None:
    (found,) = [one for one in of_kind("KafkaTopic") if one["metadata"]["name"] == topic]
    spec = found["spec"]
    assert spec["config"] == dict(settings(TopicShape(spec["partitions"], spec["replicas"])))
    assert str(spec["partitions"]) == named("ConfigMap", "backbone-environment")["data"]["BACKBONE_PARTITIONS"]
    assert spec["replicas"] == 3


def test_the_sources_in_the_config_map_can_be_read(tmp_path: Path) -> None:
    from gateway.settings.read import read_settings

    file = tmp_path / "backbone.toml"
    file.write_text(named("ConfigMap", "backbone-sources")["data"]["backbone.toml"])
    assert list(read_settings(file, {}).sources) == ["northfield-pas"]
