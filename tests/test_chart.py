"""The Helm chart, rendered here by a reader of the few template actions it uses: no registry has Helm itself."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

yaml = pytest.importorskip("yaml")
CHART = Path(__file__).parents[1] / "deploy" / "helm" / "readability"
VALUES = yaml.safe_load((CHART / "values.yaml").read_text(encoding="utf-8"))
KUBERNETES = ("1.33", "1.37")
CUSTOM = {"ServiceMonitor", "ScaledObject"}
"""Kinds of operators, whose schemas Kubernetes does not have."""


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


def manifests(**changes: Any) -> dict[str, dict[str, Any]]:
    files = sorted((CHART / "templates").glob("*.yaml"))
    documents = [yaml.safe_load(rendered(file.read_text(encoding="utf-8"), VALUES | changes)) for file in files]
    return {document["kind"]: document for document in documents if document}


@pytest.mark.parametrize("changes", [{}, {"autoscaling": False, "serviceMonitor": False, "gpus": 0}])
@pytest.mark.parametrize("version", KUBERNETES)
def test_manifests_keep_the_schemas_of_kubernetes(version: str, changes: dict[str, Any]) -> None:
    reason = "kubernetes-validate, 108 MB of schemas, is not in requirements.lock: pip install kubernetes-validate"
    validate = pytest.importorskip("kubernetes_validate", reason=reason).validate
    for kind, manifest in manifests(**changes).items():
        if kind not in CUSTOM:
            validate(manifest, version, strict=True)


def test_everything_selects_the_pods_of_the_deployment() -> None:
    found = manifests()
    labels = found["Deployment"]["spec"]["template"]["metadata"]["labels"]
    assert found["Service"]["spec"]["selector"] == labels
    assert found["Deployment"]["spec"]["selector"]["matchLabels"] == labels
    assert found["PodDisruptionBudget"]["spec"]["selector"]["matchLabels"] == labels
    assert found["NetworkPolicy"]["spec"]["podSelector"]["matchLabels"] == labels
    assert found["ScaledObject"]["spec"]["scaleTargetRef"]["name"] == found["Deployment"]["metadata"]["name"]


def test_a_pod_drains_for_longer_than_a_request_may_take_and_cannot_write_or_become_root() -> None:
    pod = manifests()["Deployment"]["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    pause = int(container["lifecycle"]["preStop"]["exec"]["command"][1])
    assert pod["terminationGracePeriodSeconds"] >= pause + 30
    assert "--exit-timeout-secs=30" in container["args"]
    assert container["securityContext"]["readOnlyRootFilesystem"]
    assert pod["securityContext"]["runAsNonRoot"]
    written = {mount["mountPath"] for mount in container["volumeMounts"]}
    assert written == {"/dev/shm", "/tmp"}


def test_the_probe_asks_the_pipeline_what_it_can_answer() -> None:
    (container,) = manifests()["Deployment"]["spec"]["template"]["spec"]["containers"]
    command = container["livenessProbe"]["exec"]["command"]
    body = json.loads(command[command.index("--data") + 1])
    assert {tensor["name"] for tensor in body["inputs"]} == {"excerpt", "BERT_WEIGHT"}


def test_scaling_is_on_a_figure_that_bls_reports() -> None:
    from readability_triton.bls.metrics import QUEUED

    assert QUEUED.name in manifests()["ScaledObject"]["spec"]["triggers"][0]["metadata"]["query"]


def test_without_autoscaling_the_number_of_replicas_is_fixed() -> None:
    found = manifests(autoscaling=False, serviceMonitor=False)
    assert CUSTOM.isdisjoint(found)
    assert found["Deployment"]["spec"]["replicas"] == VALUES["replicas"]
