import pytest

from readability_triton.serving import doctor
from readability_triton.serving.artefacts import ARTEFACTS
from readability_triton.serving.doctor import examine, triton_version
from readability_triton.serving.gpu import Gpu
from readability_triton.serving.runtime import DROP_INS, Runtime

BANNER = "print('+----+\\n| Option | Value |\\n| server_version                   | 2.51.0     |', flush=True)\n"


def findings_of(repository) -> dict:
    return {finding.subject: finding for finding in examine(repository)}


@pytest.mark.usefixtures("no_triton")
def test_without_triton_it_says_how_to_get_one(tmp_path):
    triton = findings_of(tmp_path)["Triton"]
    assert triton.found == "none that can be used"
    assert "pip install nvidia-pytriton" in triton.advice


def with_backends(runtime: Runtime, folder) -> Runtime:
    native = {"python": folder / "python", "pytorch": folder / "pytorch"}
    return Runtime(runtime.origin, runtime.executable, {"fil": DROP_INS / "fil"} | native)


def test_the_version_is_what_the_server_itself_says_and_each_backend_has_a_line(monkeypatch, fake_runtime, tmp_path):
    found = with_backends(fake_runtime(BANNER + "import time; time.sleep(60)"), tmp_path)
    monkeypatch.setattr(doctor, "find_runtime", lambda: found)
    findings = findings_of(tmp_path)
    assert findings["Triton"].found == "2.51.0, a test"
    assert findings["backend python"].found == f"native, {tmp_path / 'python'}"
    assert findings["backend pytorch"].found == f"native, {tmp_path / 'pytorch'}"
    assert findings["backend fil"].found == f"drop-in, {DROP_INS / 'fil'}"
    assert not any(findings[name].advice for name in findings)


def test_a_server_that_does_not_start_has_no_version_and_is_to_be_run_by_hand(monkeypatch, fake_runtime, tmp_path):
    broken = with_backends(
        fake_runtime("#!/bin/sh\necho 'libb64.so.0d: cannot open shared object file'; exit 127"), tmp_path
    )
    assert triton_version(broken) is None
    monkeypatch.setattr(doctor, "find_runtime", lambda: broken)
    triton = findings_of(tmp_path)["Triton"]
    assert triton.found == "does not start, a test"
    assert f"run {broken.executable} by hand" in triton.advice


@pytest.mark.usefixtures("no_triton")
@pytest.mark.parametrize(
    ("names", "missing", "expected", "advice"),
    [
        ([], ["no GPU"], "none: all models run on the CPU", None),
        (["NVIDIA H100", "NVIDIA T4"], [], "NVIDIA H100, NVIDIA T4", None),
        (["NVIDIA H100"], ["not installed: cudf", "no CUDA"], "NVIDIA H100", "not installed: cudf; no CUDA"),
    ],
    ids=["none", "two", "one that cannot be used"],
)
def test_gpus_are_named_with_what_is_missing_for_them_and_no_gpu_is_no_fault(
    monkeypatch, tmp_path, names, missing, expected, advice
):
    monkeypatch.setattr(doctor, "find_gpus", lambda: [Gpu(name, 80 << 30, (9, 0)) for name in names])
    monkeypatch.setattr(doctor, "missing_requirements", lambda repository: missing)
    gpu = findings_of(tmp_path)["GPU"]
    assert gpu.found == expected
    assert gpu.advice == (f"all models run on the CPU: {advice}" if advice else None)


@pytest.mark.usefixtures("no_triton")
def test_what_is_not_built_is_listed_with_the_command_that_builds_it(tmp_path):
    for path in ARTEFACTS:
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / ARTEFACTS[0]).touch()
    artefacts = findings_of(tmp_path)["artefacts"]
    assert artefacts.found == f"missing: {', '.join(map(str, ARTEFACTS[1:]))}"
    assert artefacts.advice == "run `readability build`"
    for path in ARTEFACTS:
        (tmp_path / path).touch()
    assert findings_of(tmp_path)["artefacts"].advice is None
