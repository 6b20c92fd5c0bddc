"""The chart, rendered by Helm itself and held against Kubernetes' own schemas."""

import shutil
import subprocess
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

from modelkeep_server.settings import load

CHART = Path(__file__).parents[2] / "deploy/helm/modelkeep"
VALUES = sorted((CHART / "ci").glob("*-values.yaml"))
KUBERNETES = ("1.30", "1.37")
SECRETS = {
    "MODELKEEP_DATABASE": "postgresql://modelkeep:secret@postgres/modelkeep",
    "AWS_ACCESS_KEY_ID": "key",
    "AWS_SECRET_ACCESS_KEY": "secret",
}
STOPPING_SECONDS = 40
"""The longest that a server takes to stop, as it promises."""

Manifest = dict[str, Any]

pytestmark = [
    pytest.mark.helm,
    pytest.mark.skipif(not shutil.which("helm"), reason="needs helm 4 on PATH"),
    pytest.mark.parametrize("values", VALUES, ids=lambda path: path.stem),
]


def helm(*arguments: str | Path) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(["helm", *arguments], capture_output=True, text=True, timeout=60)


def render(values: Path, *options: str) -> list[Manifest]:
    done = helm("template", "prod", CHART, "--namespace", "ml", "--values", values, *options)
    assert done.returncode == 0, done.stderr
    return [manifest for manifest in yaml.safe_load_all(done.stdout) if manifest]


def of_kind(manifests: list[Manifest], kind: str) -> Manifest:
    [found] = [manifest for manifest in manifests if manifest["kind"] == kind]
    return found


def container(manifests: list[Manifest]) -> Manifest:
    [found] = of_kind(manifests, "Deployment")["spec"]["template"]["spec"]["containers"]
    return dict(found)


def environment(manifests: list[Manifest]) -> dict[str, str]:
    """Give the variables as the container would have them."""
    found: dict[str, str] = {}
    for variable in container(manifests)["env"]:
        name = variable["name"]
        assert name not in found
        found[name] = variable.get("value") or SECRETS[variable["valueFrom"]["secretKeyRef"]["key"]]
    return found


def test_the_chart_passes_helms_lint(values: Path) -> None:
    done = helm("lint", "--strict", "--values", values, CHART)

    assert done.returncode == 0, done.stdout + done.stderr
    assert "[WARNING]" not in done.stdout


@pytest.mark.parametrize("version", KUBERNETES)
def test_kubernetes_takes_every_manifest(values: Path, version: str) -> None:
    own = [m for m in render(values) if m["apiVersion"] != "monitoring.coreos.com/v1"]

    assert len(own) >= 3
    for manifest in own:
        kubernetes_validate.validate(manifest, version, strict=True)


def test_the_server_takes_its_settings_from_the_chart(values: Path) -> None:
    manifests = render(values)

    settings = load({}, environment(manifests))

    ports = {port["name"]: port["containerPort"] for port in container(manifests)["ports"]}
    assert settings.metrics_listen
    assert ports == {"grpc": settings.listen.port, "metrics": settings.metrics_listen.port}
    assert settings.allow_open
    given = yaml.safe_load(values.read_text()).get("settings", {"log_format": "json"})
    assert {name: str(getattr(settings, name)) for name in given} == {
        name: str(value) for name, value in given.items()
    }


def test_probes_ask_where_the_server_listens(values: Path) -> None:
    manifests = render(values)
    found = container(manifests)

    probes = [found[f"{kind}Probe"]["grpc"] for kind in ("startup", "readiness", "liveness")]
    assert probes == [{"port": load({}, environment(manifests)).listen.port}] * 3


def test_the_pod_has_no_rights_and_writes_nothing_but_scratch(values: Path) -> None:
    manifests = render(values)
    pod = of_kind(manifests, "Deployment")["spec"]["template"]["spec"]

    assert pod["automountServiceAccountToken"] is False
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["runAsUser"] == 10001
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert container(manifests)["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert all("emptyDir" in volume for volume in pod["volumes"])


def test_everything_finds_the_replicas(values: Path) -> None:
    manifests = render(values)
    deployment = of_kind(manifests, "Deployment")
    labels = deployment["spec"]["template"]["metadata"]["labels"].items()
    ports = {port["name"] for port in container(manifests)["ports"]}

    selectors = [deployment["spec"]["selector"]["matchLabels"]]
    for manifest in manifests:
        spec = manifest["spec"]
        match manifest["kind"]:
            case "Service":
                selectors.append(spec["selector"])
                assert {port["targetPort"] for port in spec["ports"]} <= ports
            case "PodDisruptionBudget":
                selectors.append(spec["selector"]["matchLabels"])
            case "NetworkPolicy":
                selectors.append(spec["podSelector"]["matchLabels"])
            case "HorizontalPodAutoscaler":
                assert spec["scaleTargetRef"]["name"] == deployment["metadata"]["name"]
    assert len(selectors) >= 3
    assert all(selector and selector.items() <= labels for selector in selectors)


def test_prometheus_finds_one_service_that_has_every_replicas_metrics(values: Path) -> None:
    options = ("--set", "metrics.serviceMonitor.enabled=true")
    manifests = render(values, *options)
    spec = of_kind(manifests, "ServiceMonitor")["spec"]
    wanted = spec["selector"]["matchLabels"].items()

    services = [m for m in manifests if m["kind"] == "Service"]
    [found] = [m for m in services if wanted <= m["metadata"]["labels"].items()]

    assert found["spec"]["clusterIP"] == "None"
    assert {e["port"] for e in spec["endpoints"]} <= {p["name"] for p in found["spec"]["ports"]}
    assert spec["jobLabel"] in found["metadata"]["labels"]


def test_alerts_reach_the_operator_as_they_are(values: Path) -> None:
    rule = of_kind(render(values, "--set", "metrics.prometheusRule.enabled=true"), "PrometheusRule")

    alerts = yaml.safe_load((CHART.parents[1] / "prometheus/alerts.yaml").read_text())
    assert rule["spec"] == alerts
    assert alerts["groups"]


def test_a_replica_has_the_time_to_stop(values: Path) -> None:
    manifests = render(values)
    pod = of_kind(manifests, "Deployment")["spec"]["template"]["spec"]
    pause = container(manifests)["lifecycle"]["preStop"]["sleep"]["seconds"]

    assert pod["terminationGracePeriodSeconds"] >= pause + STOPPING_SECONDS


def test_the_autoscaler_rules_alone(values: Path) -> None:
    on = of_kind(render(values, "--set", "autoscaling.enabled=true"), "Deployment")
    off = of_kind(render(values, "--set", "autoscaling.enabled=false"), "Deployment")

    assert "replicas" not in on["spec"]
    assert off["spec"]["replicas"] >= 1


def test_where_there_is_no_policy_the_notes_say_so(values: Path) -> None:
    def notes(enabled: str) -> str:
        options = ("--set", f"networkPolicy.enabled={enabled}")
        done = helm("install", "prod", CHART, "--dry-run=client", "--values", values, *options)
        assert done.returncode == 0, done.stderr
        return done.stdout.partition("NOTES:")[2]

    assert "whatever reaches a pod's address may do anything" in notes("false")
    assert "The network policy lets in" in notes("true")


@pytest.mark.parametrize(
    ("option", "why"),
    [
        ("existingSecret=", "existingSecret must name a secret"),
        ("blobs=", "blobs must say where bytes are"),
        ("blobs=local", "does not match pattern"),
        ("replicas=0", "minimum"),
        ("replica=2", "additional properties 'replica' not allowed"),
        ("settings.listen=0.0.0.0:1", "propertyName 'listen'"),
        ("podDisruptionBudget.maxUnavailable=0", "/podDisruptionBudget"),
    ],
)
def test_wrong_values_are_refused(values: Path, option: str, why: str) -> None:
    done = helm("template", "prod", CHART, "--values", values, "--set", option)

    assert done.returncode != 0
    assert why in done.stderr
