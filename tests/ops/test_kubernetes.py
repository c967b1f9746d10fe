"""The Kubernetes manifests: no field that is not one, and the rules that operators hold a workload to."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from toolgate.cli.app import app
from toolgate.config import load_settings
from toolgate.surfaces.http.middleware.own_host import ANYHOW

yaml: Any = import_module("yaml")

pytestmark = pytest.mark.req("X1.84")

FOLDER = Path(__file__).parents[2] / "examples" / "kubernetes"
TOP = {"apiVersion", "kind", "metadata"}
KINDS: dict[tuple[str, str], set[str]] = {
    ("v1", "ConfigMap"): {"data"},
    ("v1", "ServiceAccount"): {"automountServiceAccountToken"},
    ("v1", "Service"): {"spec"},
    ("apps/v1", "Deployment"): {"spec"},
    ("batch/v1", "Job"): {"spec"},
    ("policy/v1", "PodDisruptionBudget"): {"spec"},
}
SPECS: dict[str, set[str]] = {
    "Service": {"selector", "ports"},
    "Deployment": {"replicas", "selector", "strategy", "template"},
    "Job": {"backoffLimit", "activeDeadlineSeconds", "template"},
    "PodDisruptionBudget": {"maxUnavailable", "selector"},
}
POD = {
    "serviceAccountName",
    "automountServiceAccountToken",
    "securityContext",
    "terminationGracePeriodSeconds",
    "topologySpreadConstraints",
    "restartPolicy",
    "initContainers",
    "containers",
    "volumes",
}
CONTAINER = {
    "name",
    "image",
    "command",
    "args",
    "env",
    "ports",
    "startupProbe",
    "livenessProbe",
    "readinessProbe",
    "resources",
    "securityContext",
    "volumeMounts",
}
PROBE = {"httpGet", "periodSeconds", "timeoutSeconds", "failureThreshold"}
SECRETS = {"toolgate-database", "toolgate-keys"}


def everything() -> list[dict[str, Any]]:
    files = sorted(FOLDER.glob("*.yaml"))
    return [found for file in files for found in yaml.safe_load_all(file.read_text("utf-8"))]


def of_kind(kind: str) -> list[dict[str, Any]]:
    return [found for found in everything() if found["kind"] == kind]


def workloads() -> list[dict[str, Any]]:
    return [*of_kind("Deployment"), *of_kind("Job")]


def pod(workload: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = workload["spec"]["template"]["spec"]
    return found


def containers(workload: dict[str, Any]) -> list[dict[str, Any]]:
    return [*pod(workload)["initContainers"], *pod(workload)["containers"]]


def name(found: dict[str, Any]) -> str:
    return f"{found['kind']}/{found['metadata']['name']}"


@pytest.mark.parametrize("found", everything(), ids=name)
def test_every_object_has_only_fields_of_its_kind(found: dict[str, Any]) -> None:
    own = KINDS[found["apiVersion"], found["kind"]]
    assert found.keys() - TOP == own
    assert found["metadata"].keys() == {"name", "labels"}
    assert found["metadata"]["labels"]["app.kubernetes.io/name"] == "toolgate"
    if "spec" in own:
        assert found["spec"].keys() == SPECS[found["kind"]]


@pytest.mark.parametrize("found", workloads(), ids=name)
def test_every_pod_has_only_known_fields_and_runs_as_nobody(found: dict[str, Any]) -> None:
    assert pod(found).keys() <= POD
    assert pod(found)["securityContext"]["runAsNonRoot"] is True
    assert pod(found)["securityContext"]["runAsUser"] > 0
    assert pod(found)["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert pod(found)["automountServiceAccountToken"] is False
    volumes = {volume["name"] for volume in pod(found)["volumes"]}
    for container in containers(found):
        assert container.keys() <= CONTAINER, container["name"]
        locked = container["securityContext"]
        assert locked["allowPrivilegeEscalation"] is False
        assert locked["readOnlyRootFilesystem"] is True
        assert locked["capabilities"] == {"drop": ["ALL"]}
        assert container["resources"]["requests"].keys() == {"cpu", "memory"}
        assert "memory" in container["resources"]["limits"]
        image, _, tag = container["image"].rpartition(":")
        assert image
        assert tag != "latest"
        assert {mount["name"] for mount in container["volumeMounts"]} <= volumes


@pytest.mark.parametrize("found", workloads(), ids=name)
def test_secrets_are_references_and_the_keys_are_made_the_pods_own(found: dict[str, Any]) -> None:
    for container in containers(found):
        for variable in container.get("env", ()):
            assert "value" not in variable
            assert variable["valueFrom"]["secretKeyRef"]["name"] in SECRETS
    (made,) = pod(found)["initContainers"]
    assert made["command"][:3] == ["install", "-m", "0600"]
    mounted = {volume["secret"]["secretName"] for volume in pod(found)["volumes"] if "secret" in volume}
    assert mounted <= SECRETS


@pytest.mark.parametrize("found", workloads(), ids=name)
def test_every_command_is_one_of_the_program(found: dict[str, Any]) -> None:
    for container in pod(found)["containers"]:
        command, *words = container["args"]
        made = app.get_command(None, command)  # type: ignore[arg-type] # none of ours looks at the context
        assert made is not None
        # Parsed, and not run; an option that is not one ends in an error.
        made.make_context(command, words)


@pytest.mark.parametrize("found", of_kind("Deployment"), ids=name)
def test_every_deployment_is_probed_spread_and_given_time_to_end(found: dict[str, Any]) -> None:
    spec = found["spec"]
    labels = spec["template"]["metadata"]["labels"]
    assert spec["replicas"] >= 2
    assert spec["selector"]["matchLabels"] == labels == found["metadata"]["labels"]
    assert spec["strategy"]["rollingUpdate"]["maxUnavailable"] == 0
    assert pod(found)["terminationGracePeriodSeconds"] >= 60
    assert pod(found)["topologySpreadConstraints"][0]["labelSelector"]["matchLabels"] == labels
    (container,) = pod(found)["containers"]
    ports = {port["name"] for port in container["ports"]}
    for kind, path in (("startup", "/healthz"), ("liveness", "/healthz"), ("readiness", "/readyz")):
        probe = container[f"{kind}Probe"]
        assert probe.keys() <= PROBE
        assert probe["httpGet"] == {"path": path, "port": "http"}
        assert path in ANYHOW, "a probe asks by a bare address"
    assert "http" in ports


def test_every_deployment_has_a_budget_and_the_service_leads_to_the_gateways() -> None:
    budgets = {found["metadata"]["name"]: found["spec"] for found in of_kind("PodDisruptionBudget")}
    for found in of_kind("Deployment"):
        budget = budgets.pop(found["metadata"]["name"])
        assert budget["selector"]["matchLabels"] == found["metadata"]["labels"]
        assert budget["maxUnavailable"] < found["spec"]["replicas"]
    assert budgets == {}
    (service,) = of_kind("Service")
    assert service["spec"]["selector"]["app.kubernetes.io/component"] == "gateway"
    assert service["spec"]["ports"][0]["targetPort"] == "http"


def test_the_configuration_is_one_that_the_program_reads(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (configuration,) = of_kind("ConfigMap")
    (file, text), *others = configuration["data"].items()
    assert others == []
    monkeypatch.setenv("DATABASE_URL", "postgresql://toolgate:secret@postgres/toolgate")
    path = tmp_path / file
    path.write_text(text, encoding="utf-8")

    settings = load_settings(path)

    assert settings.store is not None
    assert settings.store.startswith("postgresql://")
    assert settings.auth_is_said
    assert settings.server.public_url is not None
    assert settings.server.public_url.value == "https://gate.example.com"
    assert settings.tools()
