"""Every fault that a container would stumble over is named when it is planted, and none where there is none."""

import io
import json
import re
import tarfile
from pathlib import Path

import pytest

from readability_triton.containers.check import check
from readability_triton.containers.finding import Finding
from readability_triton.containers.release import find_release, known_releases
from readability_triton.serving.repository import default_repository
from tests.containers.conftest import MODEL, checkpoint

NEWEST = "26.11"
IN_THE_DOCKERFILE = (
    "readability_triton",
    "cudf",
    "cupy",
    "pycld2",
    "sentencex",
    "tokenizers",
    "tritonclient",
    "google",
    "rmm",
    "numpy",
)


BULLETIN = "NVIDIA security bulletin"


def found(repository: Path, release: str = NEWEST, installed: tuple[str, ...] = ()) -> list[Finding]:
    return check(repository, find_release(release), installed)


def must_be_fixed(repository: Path, release: str = NEWEST, installed: tuple[str, ...] = ()) -> list[str]:
    """Without the bulletins that concern a release whatever it serves."""
    findings = [each for each in found(repository, release, installed) if BULLETIN not in each.source]
    return [f"{each.model}: {each.text}" for each in findings if each.must_be_fixed]


def notes(repository: Path, release: str = NEWEST) -> list[str]:
    return [f"{each.model}: {each.text}" for each in found(repository, release) if not each.must_be_fixed]


def parameter(key: str, value: str) -> str:
    return f'parameters: {{ key: "{key}" value: {{ string_value: {json.dumps(value)} }} }}'


def assert_named(lines: list[str], start: str) -> None:
    """One line is this fault."""
    assert [line for line in lines if line.startswith(start)], lines


def only(lines: list[str], start: str) -> None:
    """This fault and nothing else."""
    assert len(lines) == 1, lines
    assert lines[0].startswith(start)


@pytest.mark.parametrize("release", [name for name in known_releases() if name >= "25.07"])
def test_a_repository_without_faults_needs_no_change_in_any_release_with_the_fixes(repository, release) -> None:
    assert must_be_fixed(repository, release) == []


@pytest.mark.parametrize("release", ["26.07", "26.11"])
def test_this_projects_own_repository_fits_releases_with_the_fixes(release) -> None:
    assert must_be_fixed(default_repository(), release, IN_THE_DOCKERFILE) == []


def test_findings_cite_a_source_and_what_must_be_fixed_comes_first(repository, spoil) -> None:
    spoil("forest", "reshape: { shape: [ 1 ] }", "")
    findings = found(repository, "24.10")
    assert all(each.source for each in findings)
    assert [each.must_be_fixed for each in findings] == sorted([each.must_be_fixed for each in findings], reverse=True)


class TestFil:
    def test_a_step_without_reshape(self, repository, spoil) -> None:
        spoil("forest", "reshape: { shape: [ 1 ] }", "")
        only(must_be_fixed(repository), "forest: output output__0 has dims [1] and no reshape")

    def test_a_model_without_reshape_that_is_no_step_is_noted(self, repository, spoil) -> None:
        spoil("forest", "reshape: { shape: [ 1 ] }", "")
        (repository / "all" / "config.pbtxt").unlink()
        assert must_be_fixed(repository) == []
        assert_named(notes(repository), "forest: output output__0 has dims [1] and no reshape")

    def test_an_empty_reshape(self, repository, spoil) -> None:
        spoil("forest", "reshape: { shape: [ 1 ] }", "reshape: { shape: [ ] }")
        only(must_be_fixed(repository), "forest: output output__0: an empty reshape is undefined")

    def test_another_type(self, repository, spoil) -> None:
        spoil("forest", '"input__0" data_type: TYPE_FP32', '"input__0" data_type: TYPE_FP64')
        only(must_be_fixed(repository), "forest: input__0 is TYPE_FP64")

    def test_output_class_is_required_before_it_was_renamed(self, repository, spoil) -> None:
        spoil("forest", '"output_class"', '"unknown"')
        assert_named(must_be_fixed(repository, "25.08"), "forest: parameter output_class is required; is_classifier is")
        assert must_be_fixed(repository, "25.09") == []

    def test_either_name_is_required_after_it(self, repository, spoil) -> None:
        spoil("forest", '"output_class"', '"unknown"')
        spoil("forest", '"is_classifier"', '"other"')
        only(must_be_fixed(repository, "25.09"), "forest: parameter is_classifier is required")

    def test_names_that_contradict_each_other(self, repository, spoil) -> None:
        spoil(
            "forest", '"is_classifier" value: { string_value: "false"', '"is_classifier" value: { string_value: "true"'
        )
        spoil("forest", "", parameter("threshold", "0.5"))
        only(must_be_fixed(repository), "forest: output_class 'false' goes before is_classifier 'true'")

    def test_a_classifier_without_threshold(self, repository, spoil) -> None:
        spoil("forest", '"false"', '"true"')
        only(must_be_fixed(repository), "forest: a classifier without predict_proba needs the parameter threshold")

    @pytest.mark.parametrize("value", ["True", "1", ""])
    def test_a_boolean_of_another_spelling(self, repository, spoil, value) -> None:
        spoil("forest", "", parameter("predict_proba", value))
        only(must_be_fixed(repository), f"forest: parameter predict_proba is {value!r}")

    @pytest.mark.parametrize("key", ["storage_type", "blocks_per_sm", "algo", "threads_per_tree"])
    def test_a_dropped_parameter_is_noted_from_25_09_on(self, repository, spoil, key) -> None:
        spoil("forest", "", parameter(key, "AUTO"))
        assert_named(notes(repository, "25.09"), f"forest: parameter {key} is dropped since 25.09")
        assert not [line for line in notes(repository, "25.08") if key in line]

    def test_a_parameter_that_does_nothing_yet_is_noted(self, repository, spoil) -> None:
        spoil("forest", "", parameter("layout", "depth_first"))
        assert_named(notes(repository, "25.08"), "forest: parameter layout has no effect before 25.09")

    def test_all_cores_for_a_batch_are_noted(self, repository, spoil) -> None:
        spoil("forest", '"cpu_nthread"', '"unknown"')
        assert_named(notes(repository), "forest: parameter cpu_nthread is not set")

    def test_dims_that_are_not_the_forests(self, repository) -> None:
        (repository / "forest" / "1" / "checkpoint.tl").write_bytes(checkpoint(n_features=7))
        only(must_be_fixed(repository), "forest: input input__0 has dims [5], the forest 7 features")

    def test_a_file_that_is_no_checkpoint(self, repository) -> None:
        (repository / "forest" / "1" / "checkpoint.tl").write_bytes(b"short")
        only(must_be_fixed(repository), "forest: checkpoint.tl is no Treelite checkpoint")

    def test_a_checkpoint_of_another_major_version(self, repository) -> None:
        (repository / "forest" / "1" / "checkpoint.tl").write_bytes(checkpoint(version=(3, 9, 0)))
        only(must_be_fixed(repository, "26.06"), "forest: the checkpoint is of Treelite 3.9.0, the container has 4.7.0")

    def test_a_newer_minor_version_is_noted(self, repository) -> None:
        assert_named(notes(repository, "26.06"), "forest: the checkpoint is of Treelite 4.8.1, the container has 4.7.0")

    def test_a_treelite_that_is_not_known_is_said_to_be(self, repository) -> None:
        assert_named(notes(repository, "26.07"), "forest: the Treelite of 26.07 is not known here")


class TestPyTorch:
    def aoti(self, repository: Path, spoil) -> None:
        spoil("encoder", 'backend: "pytorch"', 'backend: "pytorch" platform: "torch_aoti"')

    def test_torch_aoti_before_it_was_there(self, repository, spoil) -> None:
        self.aoti(repository, spoil)
        only(must_be_fixed(repository, "26.02"), 'encoder: platform "torch_aoti" is refused before 26.03')
        assert must_be_fixed(repository, "26.03") == []

    def test_torch_aoti_with_batching_before_it_could(self, repository, spoil) -> None:
        self.aoti(repository, spoil)
        spoil("encoder", "", "dynamic_batching { }")
        only(must_be_fixed(repository, "26.06"), "encoder: dynamic_batching with torch_aoti before 26.07")
        assert must_be_fixed(repository, "26.07") == []

    @pytest.mark.parametrize(("release", "name"), [("26.04", "ARGS[0]"), ("26.05", "X__0"), ("26.05", "ids")])
    def test_torch_aoti_with_names_that_it_does_not_find(self, repository, spoil, release, name) -> None:
        self.aoti(repository, spoil)
        spoil("encoder", "INPUT__0", name)
        assert_named(must_be_fixed(repository, release), f"encoder: tensor {name} is none that torch_aoti of {release}")

    def test_torch_aoti_in_bf16(self, repository, spoil) -> None:
        self.aoti(repository, spoil)
        spoil("encoder", '"INPUT__0" data_type: TYPE_FP32', '"INPUT__0" data_type: TYPE_BF16')
        only(must_be_fixed(repository, "26.10"), "encoder: INPUT__0 is TYPE_BF16, which torch_aoti knows from 26.11 on")
        assert must_be_fixed(repository, "26.11") == []

    def test_parameters_that_torch_aoti_ignores_are_noted(self, repository, spoil) -> None:
        self.aoti(repository, spoil)
        spoil("encoder", "", parameter("INTRA_OP_THREAD_COUNT", "4"))
        assert_named(notes(repository, "26.05"), "encoder: torch_aoti ignores parameters before 26.06")

    @pytest.mark.parametrize("by_name", [True, False])
    def test_a_package_without_its_platform(self, repository, spoil, by_name) -> None:
        (repository / "encoder" / "1" / "model.pt").rename(repository / "encoder" / "1" / "model.pt2")
        if by_name:
            spoil("encoder", "", 'default_model_filename: "model.pt2"')
        only(must_be_fixed(repository), "encoder: a package of AOTInductor is read as TorchScript")

    @pytest.mark.parametrize("data_type", ["TYPE_BF16", "TYPE_UINT32"])
    def test_a_type_that_is_refused(self, repository, spoil, data_type) -> None:
        spoil("encoder", '"INPUT__0" data_type: TYPE_FP32', f'"INPUT__0" data_type: {data_type}')
        only(must_be_fixed(repository), f"encoder: INPUT__0 is {data_type}")

    def test_inputs_that_are_not_numbered_from_zero(self, repository, spoil) -> None:
        spoil("encoder", "INPUT__0", "INPUT__1")
        only(must_be_fixed(repository), "encoder: inputs INPUT__1 are not numbered 0 to 0")

    def test_names_without_an_index_are_noted(self, repository, spoil) -> None:
        spoil("encoder", "OUTPUT__0", "score")
        assert_named(notes(repository), "encoder: outputs score have no <name>__<index>")

    def test_no_outputs(self, repository, spoil) -> None:
        spoil("encoder", 'output [ { name: "OUTPUT__0" data_type: TYPE_FP32 dims: [ 1 ] } ]', "")
        only(must_be_fixed(repository), "encoder: there is no output")

    def test_a_boolean_of_no_spelling_and_a_number_that_is_none(self, repository, spoil) -> None:
        spoil(
            "encoder", '"INFERENCE_MODE" value: { string_value: "true"', '"INFERENCE_MODE" value: { string_value: "yes"'
        )
        spoil("encoder", "", parameter("INTER_OP_THREAD_COUNT", "two"))
        first, second = must_be_fixed(repository)
        assert first.startswith("encoder: parameter IN")
        assert second.startswith("encoder: parameter IN")

    def test_a_file_that_is_no_torchscript(self, repository) -> None:
        (repository / "encoder" / "1" / "model.pt").write_bytes(b"none")
        only(must_be_fixed(repository), "encoder: model.pt is no TorchScript")

    def test_torchscript_is_noted_where_it_is_deprecated(self, repository) -> None:
        assert_named(notes(repository, "25.09"), "encoder: TorchScript still loads")
        assert not [line for line in notes(repository, "25.08") if "TorchScript" in line]

    def test_a_parameter_that_nothing_reads_is_noted(self, repository, spoil) -> None:
        spoil("encoder", "", parameter("ENABLE_NVFUSER", "true"))
        assert_named(notes(repository), "encoder: parameter ENABLE_NVFUSER is read by no release")


class TestPython:
    def archive(self, repository: Path, spoil, *names: str) -> None:
        with tarfile.open(repository / "features" / "env.tar.gz", "w:gz") as archive:
            for name in names:
                archive.addfile(tarfile.TarInfo(name), io.BytesIO())
        spoil("features", "", parameter("EXECUTION_ENV_PATH", "$$TRITON_MODEL_DIRECTORY/env.tar.gz"))

    def test_an_environment_of_another_python(self, repository, spoil) -> None:
        self.archive(repository, spoil, "lib/python3.11/os.py")
        only(must_be_fixed(repository, "26.06"), "features: it brings modules of Python 3.11, the stub of 26.06 is")
        assert_named(
            must_be_fixed(repository, "24.10"), "features: it brings modules of Python 3.11, the stub of 24.10"
        )
        assert_named(notes(repository, "26.09"), "features: the Python of 26.09's stub is not known here")

    def test_an_environment_of_the_stubs_python(self, repository, spoil) -> None:
        self.archive(repository, spoil, "lib/python3.12/os.py")
        assert must_be_fixed(repository, "26.06") == []

    def test_a_stub_of_its_own_takes_any_python(self, repository, spoil) -> None:
        self.archive(repository, spoil, "lib/python3.11/os.py")
        (repository / "features" / "triton_python_backend_stub").touch()
        assert must_be_fixed(repository, "26.06") == []

    def test_a_compiled_module_of_another_python(self, repository) -> None:
        (repository / "features" / "1" / "fast.cpython-311-x86_64-linux-gnu.so").touch()
        only(must_be_fixed(repository, "26.06"), "features: it brings modules of Python 3.11")

    def test_numpy_2_before_the_stub_could(self, repository, spoil) -> None:
        self.archive(repository, spoil, "lib/python3.10/site-packages/numpy-2.1.0.dist-info/METADATA")
        assert_named(must_be_fixed(repository, "24.10"), "features: its environment has NumPy 2.1.0")
        assert not [line for line in must_be_fixed(repository, "24.11") if "NumPy" in line]

    def test_an_environment_that_is_not_there(self, repository, spoil) -> None:
        spoil("features", "", parameter("EXECUTION_ENV_PATH", "$$TRITON_MODEL_DIRECTORY/env.tar.gz"))
        only(must_be_fixed(repository), "features: its execution environment is not there")

    @pytest.mark.parametrize("line", ["import cupy", "from cupy import cuda", "import cupy.cuda as cuda"])
    def test_an_import_that_the_container_lacks(self, repository, line) -> None:
        (repository / "features" / "1" / "model.py").write_text(f"{line}\n{MODEL}")
        only(must_be_fixed(repository), "features: it imports cupy, which the container does not have")
        assert must_be_fixed(repository, installed=("cupy",)) == []

    def test_an_import_that_the_environment_has(self, repository, spoil) -> None:
        (repository / "features" / "1" / "model.py").write_text(f"import cupy\n{MODEL}")
        self.archive(repository, spoil, "lib/python3.12/site-packages/cupy/__init__.py")
        assert must_be_fixed(repository, "26.07") == []

    def test_an_import_within_a_function_is_noted(self, repository) -> None:
        (repository / "features" / "1" / "model.py").write_text(f"{MODEL}        import cupy\n")
        assert must_be_fixed(repository) == []
        assert_named(notes(repository), "features: a function imports cupy")

    def test_modules_beside_the_model_are_its_own(self, repository) -> None:
        (repository / "features" / "1" / "model.py").write_text(f"import helper\n{MODEL}")
        (repository / "features" / "1" / "helper.py").touch()
        assert must_be_fixed(repository) == []

    def test_what_a_package_of_ones_own_imports_counts_too(self, repository) -> None:
        (repository / "features" / "1" / "model.py").write_text(f"import readability_triton.stages.tokens\n{MODEL}")
        only(must_be_fixed(repository, installed=("readability_triton",)), "features: it imports tokenizers")

    def test_shared_memory_that_docker_does_not_give(self, repository, spoil) -> None:
        spoil("features", "", "instance_group [ { count: 80 } ]")
        only(must_be_fixed(repository), ": Python models take at least 81 MB of shared memory; Docker gives 64")


class TestFixes:
    def test_bls_that_may_hang(self, repository) -> None:
        call = "        pb_utils.InferenceRequest(model_name='forest').async_exec()\n"
        (repository / "features" / "1" / "model.py").write_text(MODEL + call)
        only(must_be_fixed(repository, "26.06"), ": deadlock in decoupled BLS, and a use after free in async_exec")
        assert must_be_fixed(repository, "26.07") == []

    def test_decoupled_bls(self, repository, spoil) -> None:
        call = "        pb_utils.InferenceRequest(model_name='forest').exec()\n"
        (repository / "features" / "1" / "model.py").write_text(MODEL + call)
        assert must_be_fixed(repository, "26.06") == []
        spoil("features", "", "model_transaction_policy { decoupled: true }")
        only(must_be_fixed(repository, "26.06"), ": deadlock in decoupled BLS")

    def test_security_before_25_07(self, repository) -> None:
        first, second = sorted(must_be_fixed(repository, "25.06"))
        assert "CVE-2025-23310" in first
        assert "CVE-2025-23319" in second

    @pytest.mark.parametrize(
        ("release", "holes"),
        [
            ("25.07", ["CVE-2025-23316", "CVE-2026-24207", "CVE-2026-47627"]),
            ("25.08", ["CVE-2026-24207", "CVE-2026-47627"]),
            ("26.05", ["CVE-2026-47627"]),
            ("26.06", []),
        ],
    )
    def test_the_bulletins_after_it(self, repository, release: str, holes: list[str]) -> None:
        named = [each for each in found(repository, release) if BULLETIN in each.source]
        assert all(each.must_be_fixed for each in named)
        assert sorted(re.findall(r"CVE-[0-9-]+", " ".join(each.text for each in named))) == holes

    def test_an_ensemble_that_gets_stuck(self, repository, spoil) -> None:
        spoil("forest", "", "dynamic_batching { default_queue_policy { max_queue_size: 4 } }")
        only(must_be_fixed(repository, "26.02"), ": an ensemble is stuck when a step's max_queue_size is exceeded")
        assert must_be_fixed(repository, "26.03") == []

    def test_preserved_order(self, repository, spoil) -> None:
        spoil("forest", "", "dynamic_batching { preserve_ordering: true }")
        only(must_be_fixed(repository, "26.07"), ": requests starve in the dynamic batcher")

    @pytest.mark.parametrize(
        ("config", "release", "line"),
        [
            ("", "24.11", "gRPC requests with short deadlines"),
            ("", "25.11", "a Python model whose process died"),
            ("dynamic_batching { }", "26.10", "a use after free in the dynamic batcher"),
            ("response_cache { enable: true }", "25.08", "the response cache leaks"),
            (parameter("FORCE_CPU_ONLY_INPUT_TENSORS", "no"), "26.11", "when Triton's CUDA pool"),
            ("", "26.04", "clients cannot register shared memory"),
        ],
    )
    def test_what_is_worth_knowing_is_noted(self, repository, spoil, config, release, line) -> None:
        spoil("features", "", config)
        assert_named(notes(repository, release), f": {line}")
