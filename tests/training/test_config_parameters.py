from pathlib import Path

import pytest
from google.protobuf import text_format
from hypothesis import given
from hypothesis import strategies as st
from tritonclient.grpc.model_config_pb2 import ModelConfig

from readability_triton.ensemble.config import read_config
from readability_triton.training.config_parameters import set_parameters

CONFIG = """\
# A comment that must stay.
name: "some_model"
backend: "python"   # as must this one
max_batch_size: 8
parameters: { key: "one" value: { string_value: "1" } }

# And this.
parameters: { key: "two" value: { string_value: "say \\"2\\" \\\\ here" } }
parameters: { key: "two_more" value: { string_value: "not this" } }
parameters: { key: "two.more" value: { string_value: "" } }
"""


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "config.pbtxt"
    path.write_text(CONFIG)
    return path


values = st.text(st.characters(exclude_categories=("Cs", "Cc")))


@given(values, values)
def test_any_value_on_one_line_is_read_back_by_tritons_parser(tmp_path_factory, one, two):
    path = tmp_path_factory.getbasetemp() / "config.pbtxt"
    path.write_text(CONFIG)
    set_parameters(path, {"one": "an earlier value", "two": two})
    set_parameters(path, {"one": one})
    parameters = read_config(path).parameters
    assert {key: parameters[key].string_value for key in parameters} == {
        "one": one,
        "two": two,
        "two_more": "not this",
        "two.more": "",
    }


@pytest.mark.parametrize("value", [r"back\slash", r"\1 \g<0>", 'a "quoted" word', "ends in \\", 'ends in "', "{ } #"])
def test_quotes_and_backslashes_survive(config, value):
    set_parameters(config, {"two": value})
    assert read_config(config).parameters["two"].string_value == value


def test_everything_but_the_value_stays_as_it_is(config):
    set_parameters(config, {"one": "uno"})
    assert config.read_text() == CONFIG.replace('"1"', '"uno"')


def test_a_key_is_not_taken_for_a_pattern(config):
    set_parameters(config, {"two.more": "x"})
    expected = text_format.Parse(CONFIG, ModelConfig())
    expected.parameters["two.more"].string_value = "x"
    assert read_config(config) == expected


def test_a_parameter_that_the_file_lacks_is_refused_and_nothing_is_written(config):
    with pytest.raises(KeyError, match="has no parameter three"):
        set_parameters(config, {"one": "changed", "three": "3"})
    assert config.read_text() == CONFIG


def test_setting_what_is_there_already_does_not_touch_the_file(config):
    config.chmod(0o444)
    before = config.stat().st_mtime_ns
    set_parameters(config, {"one": "1"})
    assert config.stat().st_mtime_ns == before
