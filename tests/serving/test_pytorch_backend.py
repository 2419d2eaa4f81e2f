import os
from collections import defaultdict
from queue import SimpleQueue
from threading import Event
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from readability_triton.serving import libtorch
from readability_triton.serving.outstanding import outstanding

SAFETY_S = 5


class Weighted(nn.Module):
    """Each row's sum where the mask is set."""

    def forward(self, ids: Tensor, mask: Tensor) -> Tensor:
        return (ids * mask).sum(1, keepdim=True).float()


class Pair(nn.Module):
    def forward(self, ids: Tensor) -> tuple[Tensor, Tensor]:
        return ids * 2, -ids


class Minus(nn.Module):
    def forward(self, first: Tensor, second: Tensor) -> Tensor:
        return first - second


TYPES = defaultdict(lambda: "TYPE_FP32", {Pair: "TYPE_INT64"})
"""Of what the modules give."""


@pytest.fixture(autouse=True, scope="module")
def threads():
    """Keep what other tests compute with."""
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def load(load_backend):
    """The drop-in, initialised on a module."""

    def initialised(
        module: nn.Module,
        inputs: list[str],
        outputs: list[str] | dict[str, str],
        parameters: dict[str, str] | None = None,
        max_batch_size: int = 8,
        **config: Any,
    ):
        types = outputs if isinstance(outputs, dict) else dict.fromkeys(outputs, TYPES[type(module)])
        config = {
            "max_batch_size": max_batch_size,
            "input": [{"name": name, "data_type": "TYPE_INT64"} for name in inputs],
            "output": [{"name": name, "data_type": data_type} for name, data_type in types.items()],
            "parameters": parameters or {},
        } | config
        file = config.get("default_model_filename", "model.pt")
        return load_backend("pytorch", config, lambda path: torch.jit.save(torch.jit.script(module), str(path)), file)

    return initialised


@pytest.fixture(scope="module")
def weighted(load):
    return load(Weighted(), ["INPUT__0", "INPUT__1"], ["OUTPUT__0"], {"INTRA_OP_THREAD_COUNT": "1"})


def ids_and_mask(rows: int, length: int, seed: int = 0) -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return {
        "INPUT__0": torch.randint(1, 100, (rows, length), generator=generator),
        "INPUT__1": torch.randint(0, 2, (rows, length), generator=generator),
    }


def direct(request: dict[str, Tensor]) -> Tensor:
    """The module run on a request."""
    return Weighted()(request["INPUT__0"], request["INPUT__1"])


class Request(dict):
    """A request as the stub hands it over: its tensors by name, and a sender for a late answer."""

    def __init__(self, tensors: dict[str, Tensor]) -> None:
        super().__init__(tensors)
        self.sent: SimpleQueue = SimpleQueue()

    def get_response_sender(self) -> SimpleNamespace:
        return SimpleNamespace(send=lambda response, flags: self.sent.put(response))


def responses(model, requests: list[dict[str, Tensor]]) -> list:
    """What each request gets, at once or later."""
    requests = [Request(request) for request in requests]
    at_once = model.execute(requests)
    if at_once is not None:
        assert len(at_once) == len(requests)
        assert all(request.sent.empty() for request in requests)
        return at_once
    given = [request.sent.get(timeout=SAFETY_S) for request in requests]
    assert all(request.sent.empty() for request in requests)
    return given


def answers(model, requests: list[dict[str, Tensor]], output: str = "OUTPUT__0") -> list[Tensor]:
    return [response.tensors[output] for response in responses(model, requests)]


def assert_same(found: list[Tensor], expected: list[Tensor]) -> None:
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one, other)


@settings(max_examples=30)
@given(rows=st.lists(st.integers(1, 4), min_size=1, max_size=5), lengths=st.lists(st.integers(1, 9), min_size=5))
def test_every_request_gets_its_own_rows_whatever_comes_beside_it(pb_utils, weighted, rows, lengths):
    requests = [ids_and_mask(n, length, seed) for seed, (n, length) in enumerate(zip(rows, lengths, strict=False))]
    assert_same(answers(weighted, requests), [direct(request) for request in requests])


def facts_of(ids: Tensor) -> tuple[Tensor, Tensor]:
    """A module: each row's sum; how many rows the call had, and how many threads compute."""
    facts = torch.tensor([ids.size(0), torch.get_num_threads()], dtype=torch.float32)
    return ids.sum(1, keepdim=True), facts.repeat(ids.size(0), 1)


@pytest.fixture(scope="module")
def with_threads(load):
    """The drop-in with so many threads, and that module in place of one of TorchScript."""

    def loaded(threads: int):
        model = load(
            Pair(), ["X__0"], {"SUM__0": "TYPE_INT64", "FACTS__1": "TYPE_FP32"}, {"INTRA_OP_THREAD_COUNT": str(threads)}
        )
        model.module = facts_of
        return model

    return loaded


@settings(max_examples=30)
@given(rows=st.lists(st.integers(1, 4), min_size=1, max_size=4), threads=st.integers(1, 4))
def test_rows_are_dealt_to_threads_that_compute_by_themselves(with_threads, rows, threads):
    model = with_threads(threads)
    requests = [{"X__0": torch.arange(3 * n).reshape(n, 3) + 10 * number} for number, n in enumerate(rows)]
    assert_same(answers(model, requests, "SUM__0"), [each["X__0"].sum(1, keepdim=True) for each in requests])
    facts = torch.cat(answers(model, requests, "FACTS__1"))
    assert set(facts[:, 1].tolist()) == {float(threads) if rows == [1] else 1.0}


def test_a_single_row_has_all_threads_after_a_batch_too(with_threads):
    model = with_threads(2)
    for n_rows, threads in ((4, 1.0), (1, 2.0), (2, 1.0), (1, 2.0)):
        (facts,) = answers(model, [{"X__0": torch.ones(n_rows, 3, dtype=torch.long)}], "FACTS__1")
        wait_until_idle(model)
        assert set(facts[:, 1].tolist()) == {threads}


def wait_until_idle(model) -> None:
    """Answers are sent before their thread counts as idle."""
    with model.rows._condition:
        assert model.rows._condition.wait_for(lambda: not model.rows._running, SAFETY_S)


def test_a_row_that_cannot_be_computed_is_an_error_not_a_hole(pb_utils, load):
    class Refuses(nn.Module):
        def forward(self, ids: Tensor) -> Tensor:
            assert int(ids.min()) >= 0, "negative"
            return ids.float()

    model = load(Refuses(), ["X__0"], ["Y__0"], {"INTRA_OP_THREAD_COUNT": "2"})
    asked = [{"X__0": torch.tensor([[1], [-1], [1]])}, {"X__0": torch.tensor([[3], [4]])}]
    failed, answered = responses(model, asked)
    assert "negative" in failed.error.message
    assert_same([answered.tensors["Y__0"]], [torch.tensor([[3.0], [4.0]])])
    assert_same(answers(model, [{"X__0": torch.tensor([[1], [2]])}], "Y__0"), [torch.tensor([[1.0], [2.0]])])


def test_requests_of_different_shapes_are_no_trouble(pb_utils, weighted):
    requests = [ids_and_mask(2, 5), ids_and_mask(3, 7), ids_and_mask(1, 5)]
    assert_same(answers(weighted, requests), [direct(request) for request in requests])


def test_a_model_that_takes_no_batches_runs_every_request_by_itself(pb_utils, load):
    model = load(Weighted(), ["INPUT__0", "INPUT__1"], ["OUTPUT__0"], max_batch_size=0)
    requests = [ids_and_mask(2, 5), ids_and_mask(2, 5, seed=1)]
    assert_same(answers(model, requests), [direct(request) for request in requests])


def test_a_tuple_becomes_one_output_each_in_the_order_of_their_indexes(pb_utils, load):
    model = load(Pair(), ["X__0"], ["NEGATIVE__1", "DOUBLE__0"])
    requests = [{"X__0": torch.tensor([[1, 2]])}, {"X__0": torch.tensor([[3, 4], [5, 6]])}]
    assert_same(answers(model, requests, "DOUBLE__0"), [request["X__0"] * 2 for request in requests])
    assert_same(answers(model, requests, "NEGATIVE__1"), [-request["X__0"] for request in requests])


def test_outputs_that_the_config_does_not_name_are_left_out(pb_utils, load):
    model = load(Pair(), ["X__0"], ["DOUBLE__0"])
    (response,) = responses(model, [{"X__0": torch.tensor([[1]])}])
    assert list(response.tensors) == ["DOUBLE__0"]


def test_an_output_beyond_the_results_is_an_error(pb_utils, load):
    model = load(Pair(), ["X__0"], ["A__0", "B__1", "C__2"])
    (failed,) = responses(model, [{"X__0": torch.tensor([[1]])}])
    assert failed.error.message == (
        "The output C__2 in the model configuration refers to an output index which doesn't exist. "
        "This model has 2 outputs"
    )


def test_an_output_is_the_result_of_its_index_whatever_comes_before_it(pb_utils, load):
    model = load(Pair(), ["X__0"], ["NEGATIVE__1"])
    assert answers(model, [{"X__0": torch.tensor([[1, 2]])}], "NEGATIVE__1")[0].tolist() == [[-1, -2]]


def test_arguments_follow_the_index_not_the_order_of_the_config(pb_utils, load):
    model = load(Minus(), ["B__1", "A__0"], ["OUT__0"])
    request = {"A__0": torch.tensor([[5.0]]), "B__1": torch.tensor([[3.0]])}
    assert answers(model, [request], "OUT__0")[0].item() == 2


@pytest.mark.parametrize("inputs", [["first", "second"], ["second", "first"]])
def test_names_of_the_modules_arguments_go_before_all_else(pb_utils, load, inputs):
    model = load(Minus(), inputs, ["OUT__0"])
    request = {"first": torch.tensor([[5.0]]), "second": torch.tensor([[3.0]])}
    assert answers(model, [request], "OUT__0")[0].item() == 2


@pytest.mark.parametrize("inputs", [["a", "b"], ["IN__A__0", "IN__B__1"], ["first", "b__1"], ["x__one", "x__two"]])
def test_names_of_no_convention_are_taken_as_they_stand_with_a_warning(pb_utils, load, monkeypatch, inputs):
    lines = []
    monkeypatch.setattr(pb_utils, "Logger", SimpleNamespace(log_warn=lines.append))
    model = load(Minus(), inputs, ["difference"])
    request = dict(zip(inputs, (torch.tensor([[5.0]]), torch.tensor([[3.0]])), strict=True))
    assert answers(model, [request], "difference")[0].item() == 2
    assert len(lines) == 2
    assert all("Falling back to enforcing strict ordering" in line for line in lines)


def test_an_index_that_is_left_out_is_zero(pb_utils, load):
    model = load(Minus(), ["B__1", "A__"], ["OUT__"])
    request = {"A__": torch.tensor([[5.0]]), "B__1": torch.tensor([[3.0]])}
    assert answers(model, [request], "OUT__")[0].item() == 2


@pytest.mark.parametrize(
    ("inputs", "message"),
    [
        (["INPUT__0", "INPUT__2"], "are not numbered 0 to 1"),
        (["INPUT__1", "INPUT__2"], "are not numbered 0 to 1"),
        (["A__0", "B__0"], "are not numbered 0 to 1"),
        (["A__0"], "unable to load model 'some', configuration expects 1 inputs, model provides 2"),
        (["A__0", "B__1", "C__2"], "configuration expects 3 inputs, model provides 2"),
        ([], "model configuration must contain at least one input, none were specified"),
    ],
)
def test_inputs_that_are_not_the_modules_are_refused(pb_utils, load, inputs, message):
    with pytest.raises(pb_utils.TritonModelException, match=message):
        load(Weighted(), inputs, ["OUTPUT__0"])


def test_a_config_without_outputs_is_refused(pb_utils, load):
    with pytest.raises(pb_utils.TritonModelException, match="at least one output, none were specified"):
        load(Pair(), ["X__0"], [])


class Named(nn.Module):
    def forward(self, tensors: dict[str, Tensor]) -> Tensor:
        return tensors["a"]


def test_a_module_that_takes_a_dictionary_is_refused_by_name(pb_utils, load):
    with pytest.raises(pb_utils.TritonModelException, match=r"An input of type 'Dict\[str, Tensor\]' was detected"):
        load(Named(), ["a"], ["OUT__0"])


@pytest.mark.parametrize("data_type", ["TYPE_BF16", "TYPE_UINT16", "TYPE_UINT32", "TYPE_UINT64", "TYPE_STRING"])
def test_data_types_that_the_native_backend_lacks_and_strings_are_refused(pb_utils, load, data_type):
    message = f"unsupported datatype {data_type} for %s '%s' for model 'some'"
    with pytest.raises(pb_utils.TritonModelException, match=message % ("output", "A__0")):
        load(Pair(), ["X__0"], {"A__0": data_type})
    with pytest.raises(pb_utils.TritonModelException, match=message % ("input", "X__0")):
        load(Pair(), ["X__0"], ["A__0"], input=[{"name": "X__0", "data_type": data_type}])


def test_an_output_of_another_type_than_the_configs_is_an_error(pb_utils, load):
    model = load(Pair(), ["X__0"], {"A__0": "TYPE_FP32"})
    (failed,) = responses(model, [{"X__0": torch.tensor([[1]])}])
    assert failed.error.message == (
        "configuration expects datatype TYPE_FP32 for output 'A__0', model provides TYPE_INT64"
    )


def test_a_scalar_is_an_error(pb_utils, load):
    model = load(Pair(), ["X__0"], ["A__0"])
    model.module = lambda ids: ids.sum()
    (failed,) = responses(model, [{"X__0": torch.tensor([[1]])}])
    assert failed.error.message == "output 'A__0' is a scalar which is not supported."


def test_an_output_may_have_other_dimensions_than_the_config_says(pb_utils, load):
    model = load(Pair(), ["X__0"], ["A__0"])
    assert answers(model, [{"X__0": torch.ones(2, 7, dtype=torch.long)}], "A__0")[0].shape == (2, 7)


def test_a_request_without_rows_is_answered_without_rows(pb_utils, weighted):
    empty, full = ids_and_mask(0, 5), ids_and_mask(2, 5)
    found = answers(weighted, [empty, full])
    assert found[0].shape == (0, 1)
    assert_same(found, [direct(empty), direct(full)])


def test_steps_between_rows_are_no_trouble(pb_utils, load):
    model = load(Pair(), ["X__0"], ["A__0"], {"INTRA_OP_THREAD_COUNT": "1"}, max_batch_size=0)
    model.module = lambda ids: ids[::2]
    (response,) = model.execute([Request({"X__0": torch.arange(4)})])
    assert response.tensors["A__0"].is_contiguous()
    assert response.tensors["A__0"].tolist() == [0, 2]


def test_a_failure_is_the_answer_to_every_request_of_the_batch_and_to_no_other(pb_utils, load):
    model = load(Pair(), ["X__0"], ["A__0"], max_batch_size=0)

    def fail_on_ones(ids: Tensor) -> Tensor:
        if (ids == 1).any():
            raise RuntimeError("ones")
        return ids

    model.module = fail_on_ones
    requests = [{"X__0": torch.tensor([[number]])} for number in (0, 1, 2)]
    first, failed, last = responses(model, requests)
    assert failed.error.message == "PyTorch execute failure: ones"
    assert (first.tensors["A__0"].item(), last.tensors["A__0"].item()) == (0, 2)
    model.batched, model.rows = True, None  # as on a GPU
    assert [each.error.message for each in responses(model, requests)] == ["PyTorch execute failure: ones"] * 3


def test_sequences_are_refused_by_name(pb_utils, load):
    with pytest.raises(pb_utils.TritonModelException, match="sequence_batching is set"):
        load(Pair(), ["X__0"], ["A__0"], sequence_batching={})


def test_another_file_name_is_read_from_the_config(pb_utils, load):
    model = load(Minus(), ["A__0", "B__1"], ["OUT__0"], default_model_filename="other.pt")
    assert answers(model, [{"A__0": torch.ones(1, 1), "B__1": torch.ones(1, 1)}], "OUT__0")[0].item() == 0


def test_a_missing_module_is_an_error_at_loading_that_names_the_file(pb_utils, load_backend):
    config = {"max_batch_size": 1, "input": [{"name": "X__0"}], "output": [{"name": "A__0"}]}
    with pytest.raises(
        pb_utils.TritonModelException, match=r"unable to find '.*7/model\.pt' for model instance 'some'"
    ):
        load_backend("pytorch", config, lambda path: None, "model.pt")


def test_a_file_that_is_no_torchscript_is_an_error_at_loading(pb_utils, load_backend):
    config = {"max_batch_size": 1, "input": [{"name": "X__0"}], "output": [{"name": "A__0"}]}
    with pytest.raises(pb_utils.TritonModelException, match="failed to load model 'some': "):
        load_backend("pytorch", config, lambda path: path.write_bytes(b"no module"), "model.pt")


def test_the_encoder_takes_every_core_unless_the_config_gives_a_number(load):
    load(Pair(), ["X__0"], ["A__0"])
    assert torch.get_num_threads() == len(os.sched_getaffinity(0))
    load(Pair(), ["X__0"], ["A__0"], {"INTRA_OP_THREAD_COUNT": "1"})
    assert torch.get_num_threads() == 1
    for count in ("0", "-1"):
        load(Pair(), ["X__0"], ["A__0"], {"INTRA_OP_THREAD_COUNT": count})
        assert torch.get_num_threads() == len(os.sched_getaffinity(0))


@pytest.mark.parametrize("name", ["INTRA_OP_THREAD_COUNT", "INTER_OP_THREAD_COUNT"])
def test_a_thread_count_that_is_no_number_is_refused(pb_utils, load, name):
    with pytest.raises(pb_utils.TritonModelException, match="failed to convert 'two' to integral number"):
        load(Pair(), ["X__0"], ["A__0"], {name: "two"})


def test_the_number_of_interop_threads_is_passed_on(load, monkeypatch):
    # The real call may be made only once in a process.
    calls = []
    monkeypatch.setattr(torch, "set_num_interop_threads", calls.append)
    load(Pair(), ["X__0"], ["A__0"])
    for count in ("3", "0", "-1"):
        load(Pair(), ["X__0"], ["A__0"], {"INTER_OP_THREAD_COUNT": count})
    assert calls == [3]


SWITCHES = ("INFERENCE_MODE", *(name for name in libtorch.SWITCHES if name != "INFERENCE_MODE"))


@pytest.mark.parametrize("name", SWITCHES)
@pytest.mark.parametrize("value", ["yes", "", "2"])
def test_a_boolean_of_no_known_spelling_is_refused(pb_utils, load, name, value):
    with pytest.raises(pb_utils.TritonModelException, match=f"failed to convert '{value}' to boolean"):
        load(Pair(), ["X__0"], ["A__0"], {name: value})


@pytest.mark.parametrize(
    ("text", "expected"),
    [("true", True), ("TRUE", True), ("On", True), ("1", True), ("False", False), ("OFF", False), ("0", False)],
)
def test_booleans_are_spelled_as_the_native_backend_reads_them(text, expected):
    assert libtorch.switches({"DISABLE_CUDNN": text})["DISABLE_CUDNN"] is expected


@pytest.mark.parametrize(
    ("name", "setter"),
    [
        ("DISABLE_OPTIMIZED_EXECUTION", "_set_graph_executor_optimize"),
        ("ENABLE_TENSOR_FUSER", "_jit_set_texpr_fuser_enabled"),
        ("ENABLE_JIT_PROFILING", "_jit_set_profiling_mode"),
        ("ENABLE_JIT_EXECUTOR", "_jit_set_profiling_executor"),
    ],
)
def test_switches_of_the_executor_reach_pytorch_and_nothing_is_set_without_them(load, monkeypatch, name, setter):
    calls = []
    monkeypatch.setattr(torch._C, setter, calls.append)
    load(Pair(), ["X__0"], ["A__0"])
    assert calls == []
    load(Pair(), ["X__0"], ["A__0"], {name: "true"})
    assert calls == [not name.startswith("DISABLE")]


def test_cudnn_is_turned_off_where_the_config_says_so(load, monkeypatch):
    monkeypatch.setattr(torch.backends.cudnn, "enabled", True)
    load(Pair(), ["X__0"], ["A__0"], {"DISABLE_CUDNN": "false"})
    assert torch.backends.cudnn.enabled
    load(Pair(), ["X__0"], ["A__0"], {"DISABLE_CUDNN": "true"})
    assert not torch.backends.cudnn.enabled


def test_the_cache_of_a_gpu_is_cleaned_after_each_run_where_the_config_says_so(load, monkeypatch):
    calls = []
    monkeypatch.setattr(torch.cuda, "empty_cache", lambda: calls.append(1))
    model = load(Pair(), ["X__0"], ["A__0"], {"ENABLE_CACHE_CLEANING": "true"}, max_batch_size=0)
    answers(model, [{"X__0": torch.tensor([[1]])}], "A__0")
    assert calls == []  # on the host there is none
    model.cleans_cache = True
    answers(model, [{"X__0": torch.tensor([[1]])}], "A__0")
    assert calls == [1]


def test_weight_sharing_has_no_effect_and_says_so(pb_utils, load, monkeypatch):
    lines = []
    monkeypatch.setattr(pb_utils, "Logger", SimpleNamespace(log_warn=lines.append))
    load(Pair(), ["X__0"], ["A__0"], {"ENABLE_WEIGHT_SHARING": "true"})
    assert lines == ["ENABLE_WEIGHT_SHARING has no effect: each instance is a process of its own"]


def test_parameters_that_the_native_backend_does_not_know_are_ignored(load):
    load(Pair(), ["X__0"], ["A__0"], {"ENABLE_NVFUSER": "perhaps", "encoder": "some"})


@pytest.mark.parametrize(("parameters", "expected"), [({}, True), ({"INFERENCE_MODE": "Off"}, False)])
def test_inference_mode_is_on_unless_the_config_says_otherwise_and_gradients_never_are(
    pb_utils, load, parameters, expected
):
    model = load(Pair(), ["X__0"], ["A__0"], parameters)
    modes = []

    def spy(ids: Tensor) -> Tensor:
        modes.append((torch.is_inference_mode_enabled(), torch.is_grad_enabled()))
        return ids

    model.module = spy
    model.execute([{"X__0": torch.tensor([[1]])}])
    assert modes == [(expected, False)]


def test_a_result_without_a_row_for_each_is_an_error_that_names_it(pb_utils, load):
    model = load(Pair(), ["X__0"], ["Y__0"], {"INTRA_OP_THREAD_COUNT": "1"})
    model.module = lambda ids: ids.new_zeros(7, 3)
    (failed,) = responses(model, [{"X__0": torch.ones(2, 3, dtype=torch.long)}])
    assert "Y__0 has shape [7, 3] for 1 rows; expected one row for each" in failed.error.message


def test_requests_without_an_answer_are_counted_where_they_outlive_the_process(pb_utils, load, monkeypatch, tmp_path):
    monkeypatch.setenv("READABILITY_OUTSTANDING", str(tmp_path))
    model = load(Weighted(), ["INPUT__0", "INPUT__1"], ["OUTPUT__0"], {"INTRA_OP_THREAD_COUNT": "1"})
    go, counted = Event(), []

    def wait(ids: Tensor, mask: Tensor) -> Tensor:
        assert go.wait(SAFETY_S)
        return ids[:, :1].float()

    model.module = wait
    requests = [Request(ids_and_mask(2, 3)) for _ in range(3)]
    model.execute(requests)
    counted.append(outstanding(tmp_path, os.getpid()))
    go.set()
    for request in requests:
        request.sent.get(timeout=SAFETY_S)
    model.finalize()
    counted.append(outstanding(tmp_path, os.getpid()))
    assert counted == [3, 0]


class Graphs:
    """Stands for what `readability_triton.stages.device.graphs` makes on a GPU: knows batches of up to two rows."""

    def score(self, ids: Tensor, mask: Tensor) -> Tensor | None:
        return torch.full((len(ids), 1), -1.0) if len(ids) <= 2 else None


def test_small_batches_are_asked_of_the_graphs_and_larger_ones_computed(load):
    model = load(Weighted(), ["INPUT__0", "INPUT__1"], ["OUTPUT__0"], {"INTRA_OP_THREAD_COUNT": "1"})
    assert model.graphs is None
    model.graphs, model.rows = Graphs(), None  # as on a GPU
    small, large = ids_and_mask(2, 5), ids_and_mask(3, 5)
    assert answers(model, [small])[0].tolist() == [[-1.0], [-1.0]]
    torch.testing.assert_close(answers(model, [large])[0], direct(large))


def test_what_cannot_be_recorded_is_logged_and_computed(load, monkeypatch):
    def fail(module, device):
        raise RuntimeError("cannot be captured")

    calls = []
    model = load(Weighted(), ["INPUT__0", "INPUT__1"], ["OUTPUT__0"], {"INTRA_OP_THREAD_COUNT": "1"})
    monkeypatch.setattr("readability_triton.stages.device.graphs.record_module", fail)
    logger = SimpleNamespace(log_warn=calls.append)
    monkeypatch.setattr(type(model).execute.__globals__["pb_utils"], "Logger", logger, raising=False)
    assert model._record_graphs() is None
    assert calls == ["small batches run without CUDA graphs: cannot be captured"]
