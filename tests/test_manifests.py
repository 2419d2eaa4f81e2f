"""What `deploy/` gives to Kubernetes: rendered, held against schemas, and against what this project needs.

The chart is rendered by Helm's own library, where that is installed (`make manifests`), and else by a reader of the few
template actions that it uses.
"""

import importlib.util
import json
import re
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jsonschema
import pytest

yaml = pytest.importorskip("yaml", reason="PyYAML comes with the extra [server]")
ROOT = Path(__file__).parents[1]
CHART = ROOT / "deploy" / "helm" / "readability"
KSERVE = ROOT / "deploy" / "kserve"
SCHEMAS = Path(__file__).parent / "schemas"
VALUES = yaml.safe_load((CHART / "values.yaml").read_text(encoding="utf-8"))
WITHOUT = {"autoscaling": False, "serviceMonitor": False, "gpus": 0}
KUBERNETES = ("1.33", "1.37")
OPERATORS = {"ServiceMonitor", "ScaledObject"}
"""Kinds of the chart whose schemas are not Kubernetes' own."""

Manifests = dict[str, dict[str, Any]]


def read_by_hand(changes: dict[str, Any]) -> list[str]:
    values = VALUES | changes
    return [rendered(file.read_text(encoding="utf-8"), values) for file in sorted((CHART / "templates").glob("*"))]


def rendered(text: str, values: dict[str, Any]) -> str:
    lines, hidden = [], []
    for line in text.splitlines():
        if begins := re.fullmatch(r"\s*\{\{- if (not )?\.Values\.(\w+) \}\}", line):
            hidden.append(bool(values[begins[2]]) == bool(begins[1]))
        elif re.fullmatch(r"\s*\{\{- end \}\}", line):
            hidden.pop()
        elif not any(hidden):
            line = line.replace("{{ .Release.Name }}", "readability")
            line = re.sub(r"\{\{ \.Values\.(\w+) \| quote \}\}", lambda found: json.dumps(str(values[found[1]])), line)
            line = re.sub(r"\{\{ \.Values\.(\w+) \}\}", lambda found: str(values[found[1]]), line)
            assert "{{ ." not in line, f"this test does not know the action in {line}"
            lines.append(line)
    assert not hidden
    return "\n".join(lines)


def read_by_helm(changes: dict[str, Any]) -> list[str]:
    from helm_python import Chart

    with Chart.load(CHART) as chart:
        return list(chart.render(values=changes, name="readability", namespace="readability").values())


def manifests_of(render: Callable[[dict[str, Any]], list[str]], **changes: Any) -> Manifests:
    documents = [yaml.safe_load(text) for text in render(changes)]
    return {document["kind"]: document for document in documents if document}


def manifests(**changes: Any) -> Manifests:
    return manifests_of(read_by_hand, **changes)


needs_helm = pytest.mark.skipif(
    importlib.util.find_spec("helm_python") is None,
    reason="Helm's library, 75 MB, is not in requirements.lock: `make manifests` installs it",
)


@needs_helm
@pytest.mark.parametrize("changes", [{}, WITHOUT])
def test_helm_renders_what_the_reader_of_these_tests_does(changes: dict[str, Any]) -> None:
    assert manifests_of(read_by_helm, **changes) == manifests(**changes)


@needs_helm
def test_helm_finds_nothing_wrong() -> None:
    from helm_python import lint

    found = lint(CHART, strict=True)
    assert found["errors"] == []
    assert [each["error"] for each in found["messages"] if each["severity"] > 1] == []


@pytest.mark.parametrize("changes", [{}, WITHOUT])
@pytest.mark.parametrize("version", KUBERNETES)
def test_manifests_keep_the_schemas_of_kubernetes(version: str, changes: dict[str, Any]) -> None:
    reason = "kubernetes-validate, 108 MB of schemas, is not in requirements.lock: `make manifests` installs it"
    validate = pytest.importorskip("kubernetes_validate", reason=reason).validate
    for kind, manifest in manifests(**changes).items():
        if kind not in OPERATORS:
            validate(manifest, version, strict=True)


def check(manifest: dict[str, Any]) -> None:
    schema = json.loads((SCHEMAS / f"{manifest['kind'].lower()}.json").read_text(encoding="utf-8"))
    jsonschema.Draft7Validator(schema).validate(manifest)


@pytest.mark.parametrize("kind", sorted(OPERATORS))
def test_manifests_keep_the_schemas_of_operators(kind: str) -> None:
    check(manifests()[kind])


@pytest.mark.parametrize("file", sorted(KSERVE.glob("*.yaml")), ids=lambda file: file.stem)
def test_manifests_keep_the_schemas_of_kserve(file: Path) -> None:
    check(yaml.safe_load(file.read_text(encoding="utf-8")))


def test_a_field_that_a_schema_does_not_know_is_refused() -> None:
    monitor = manifests()["ServiceMonitor"]
    monitor["spec"]["endpoints"][0]["intervall"] = "5s"
    with pytest.raises(jsonschema.ValidationError, match="intervall"):
        check(monitor)


def test_everything_selects_the_pods_of_the_deployment() -> None:
    found = manifests()
    labels = found["Deployment"]["spec"]["template"]["metadata"]["labels"]
    assert found["Service"]["spec"]["selector"] == labels
    assert found["Deployment"]["spec"]["selector"]["matchLabels"] == labels
    assert found["PodDisruptionBudget"]["spec"]["selector"]["matchLabels"] == labels
    assert found["NetworkPolicy"]["spec"]["podSelector"]["matchLabels"] == labels
    assert found["ScaledObject"]["spec"]["scaleTargetRef"]["name"] == found["Deployment"]["metadata"]["name"]


def test_a_pod_drains_for_longer_than_a_request_may_take_and_cannot_write_or_become_root() -> None:
    from readability_triton.serving.drain import LONGEST_S

    pod = manifests()["Deployment"]["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    *_, command = container["lifecycle"]["preStop"]["exec"]["command"]
    pause = int(re.match(r"sleep (\d+); exec python3 -m readability_triton\.serving\.drain$", command)[1])
    own_end = int(re.search(r"--exit-timeout-secs=(\d+)", " ".join(container["args"]))[1])
    assert pod["terminationGracePeriodSeconds"] > pause + LONGEST_S + own_end
    assert container["securityContext"]["readOnlyRootFilesystem"]
    assert pod["securityContext"]["runAsNonRoot"]
    written = {mount["mountPath"] for mount in container["volumeMounts"]}
    assert written == {"/dev/shm", "/tmp"}


def test_a_container_that_starts_again_forgets_that_it_was_drained(tmp_path: Path) -> None:
    """Its /tmp outlives it: with the mark of the drain there, it would refuse every request for ever."""
    runtime = yaml.safe_load((KSERVE / "runtime.yaml").read_text(encoding="utf-8"))
    (served,) = runtime["spec"]["containers"]
    (deployed,) = manifests()["Deployment"]["spec"]["template"]["spec"]["containers"]
    for container in (served, deployed):
        assert container["env"] == [{"name": "READABILITY_OUTSTANDING", "value": "/tmp/outstanding"}]
        shell, (program, *_) = container["args"][:4], container["args"][4:]
        assert program == "tritonserver"
        (tmp_path / "outstanding").mkdir()
        (tmp_path / "outstanding" / "draining").touch()
        environment = {"READABILITY_OUTSTANDING": str(tmp_path / "outstanding"), "PATH": "/usr/bin:/bin"}
        ended = subprocess.run(
            [*shell, "echo", "two words"], env=environment, capture_output=True, text=True, check=True
        )
        assert ended.stdout == "two words\n"
        assert list(tmp_path.iterdir()) == []


def test_the_probe_asks_the_pipeline_what_it_can_answer() -> None:
    (container,) = manifests()["Deployment"]["spec"]["template"]["spec"]["containers"]
    command = container["livenessProbe"]["exec"]["command"]
    body = json.loads(command[command.index("--data") + 1])
    assert {tensor["name"] for tensor in body["inputs"]} == {"excerpt", "BERT_WEIGHT"}


def test_scaling_is_on_a_figure_that_bls_reports() -> None:
    from readability_triton.bls.metrics import QUEUED

    assert QUEUED.name in manifests()["ScaledObject"]["spec"]["triggers"][0]["metadata"]["query"]


def test_without_autoscaling_the_number_of_replicas_is_fixed() -> None:
    found = manifests(**WITHOUT)
    assert OPERATORS.isdisjoint(found)
    assert found["Deployment"]["spec"]["replicas"] == VALUES["replicas"]


def test_a_canary_differs_from_what_it_stands_beside_in_its_models_alone() -> None:
    """KServe 0.20's rules for canaries, and that both styles are behind one name."""
    service = yaml.safe_load((KSERVE / "standard.yaml").read_text(encoding="utf-8"))
    (canary,) = service["spec"]["canary"]
    stable, other = service["spec"]["predictor"], canary["predictor"]
    assert service["metadata"]["annotations"]["serving.kserve.io/deploymentMode"] == "Standard"
    assert stable["name"] != other["name"]
    assert {"maxReplicas", "scaleTarget", "scaleMetric", "autoScaling"}.isdisjoint(other)
    assert other["model"].pop("name") == "kserve-container"
    assert stable["model"] | {"storageUri": other["model"]["storageUri"]} == other["model"]
    first, second = (yaml.safe_load((KSERVE / name).read_text()) for name in ("knative.yaml", "knative-canary.yaml"))
    assert first["metadata"] == second["metadata"]
    assert first["metadata"]["annotations"]["serving.kserve.io/deploymentMode"] == "Knative"
    assert second["spec"]["predictor"]["canaryTrafficPercent"] == canary["trafficPercent"]
    for each in (stable, first["spec"]["predictor"]):
        assert each["model"]["storageUri"].endswith("/ensemble_all")
    for each in (other, second["spec"]["predictor"]):
        assert each["model"]["storageUri"].endswith("/bls_pipeline")
