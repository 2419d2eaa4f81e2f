import pytest
from hypothesis import given
from hypothesis import strategies as st

from readability_triton.serving.log import failures, loaded_models, still_loaded

LOADED = """I1122 17:57:12.001345 6237 model_lifecycle.cc:839] "successfully loaded 'postprocess'\""""
NO_MODULE = (
    r"""E1122 18:03:34.314224 7202 model_lifecycle.cc:642] "failed to load 'postprocess' version 1: Internal: """
    r"""ModuleNotFoundError: No module named 'stages'\n\nAt:\n  /x/model.py(5): <module>\n" """
).rstrip()
DEPENDS = (
    "E1122 18:03:35.669270 7202 model_repository_manager.cc:703] \"Invalid argument: ensemble 'ensemble_all' depends "
    "on 'postprocess' which has no loaded version. Model 'postprocess' loading failed with error: version 1 is at "
    "UNAVAILABLE state: Internal: ModuleNotFoundError: No module named 'stages';\""
)
POLL = (
    "E1122 18:05:01.000001 7300 model_repository_manager.cc:1460] \"Poll failed for model directory 'cuml': "
    'Invalid argument: Model repository failed to parse config"'
)
GAVE_UP = "error: creating server: Internal - failed to load all models"
NO_REPOSITORY = "error: creating server: Internal - failed to stat file /no/such/folder"
PORT_TAKEN = 'E1122 18:07:00.100000 7400 main.cc:285] "failed to start HTTP service: Unavailable - Socket in use"'
HARMLESS = [
    LOADED,
    GAVE_UP,
    'E1122 17:58:21.776574 6519 server.cc:241] "CudaDriverHelper has not been initialized."',
    'E1122 17:58:21.776574 6519 main.cc:241] "CudaDriverHelper has not been initialized."',
    'E1122 17:58:22.000000 6519 main.cc:99] "unable to create stream for ensemble_all: no CUDA-capable device"',
    'W1122 17:58:22.000000 6519 metrics.cc:631] "Cannot get CUDA device count, GPU metrics will not be available"',
    "I1122 17:58:22.000000 6519 server.cc:674] ",
    "| cuml | 1 | READY |",
    "",
]


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (NO_MODULE, "postprocess: Internal: ModuleNotFoundError: No module named 'stages'"),
        (
            DEPENDS,
            "Invalid argument: ensemble 'ensemble_all' depends on 'postprocess' which has no loaded version. Model "
            "'postprocess' loading failed with error: version 1 is at UNAVAILABLE state: Internal: "
            "ModuleNotFoundError: No module named 'stages';",
        ),
        (
            POLL,
            "Poll failed for model directory 'cuml': Invalid argument: Model repository failed to parse config",
        ),
        (NO_REPOSITORY, "creating server: Internal - failed to stat file /no/such/folder"),
        (PORT_TAKEN, "failed to start HTTP service: Unavailable - Socket in use"),
    ],
)
def test_a_line_that_says_why_becomes_one_reason(line, reason):
    assert failures([line]) == [reason]


def test_reasons_come_in_order_each_once_and_without_noise():
    lines = [*HARMLESS, NO_MODULE, *HARMLESS, DEPENDS, NO_MODULE, DEPENDS, GAVE_UP]
    assert failures(lines) == [*failures([NO_MODULE]), *failures([DEPENDS])]


@given(st.lists(st.sampled_from(HARMLESS)))
def test_a_log_without_an_error_gives_no_reason(lines):
    assert failures(lines) == []


def test_models_still_loaded_are_counted_second_by_second_once_the_requests_are_answered():
    lines = [
        'I1123 03:38 6237 server.cc:321] "Timeout 30: Found 1 model versions that have in-flight inferences"',
        *HARMLESS,
        'I1123 03:39 6237 server.cc:345] "Timeout 29: Found 18 live models and 0 in-flight non-inference requests"',
        'I1123 03:40 6237 server.cc:345] "Timeout 28: Found 3 live models and 2 in-flight non-inference requests"',
    ]
    assert still_loaded(lines) == [18, 3]
    assert still_loaded(HARMLESS) == []


names = st.lists(st.text("abcdefg-_0123456789", min_size=1, max_size=12), max_size=6)


@given(names, st.lists(st.sampled_from([*HARMLESS[1:], NO_MODULE, DEPENDS]), max_size=6))
def test_loaded_models_are_those_that_the_log_names_in_order(models, noise):
    lines = [LOADED.replace("postprocess", model) for model in models]
    assert loaded_models([*noise, *lines, *noise]) == models
