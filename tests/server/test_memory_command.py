"""`bench-memory` reads all processes of a server, before and after it has answered."""

import json

import pytest
from click.testing import CliRunner

from readability_triton.cli.main import main

MODELS = ("preprocess", "bert-large", "cuml", "postprocess", "bls_pipeline")


@pytest.mark.parametrize("pipeline", ["ensemble_all", "bls_pipeline"])
def test_every_process_of_a_server_is_read_before_and_after_the_load(pipeline: str) -> None:
    command = ["bench-memory", "--pipeline", pipeline, "--requests", "6", "--rows", "2", "--in-flight", "2"]
    ended = CliRunner().invoke(main, [*command, "--format", "json"])
    assert ended.exit_code == 0, ended.output
    figures = json.loads(ended.stdout)
    read = figures[pipeline]
    for when in ("idle_mb", "after_mb"):
        by_process = read[when]
        assert set(by_process) == {*MODELS, "tritonserver", "readability serve", "all"}
        assert by_process["all"] == pytest.approx(sum(by_process.values()) - by_process["all"])
        assert min(by_process.values()) > 1
    assert read["peak_mb"] >= 0.9 * read["idle_mb"]["all"]
    assert ("ensemble_all" in figures, "bls_pipeline" in figures) == (
        pipeline == "ensemble_all",
        pipeline == "bls_pipeline",
    )
