import json
from pathlib import Path

import pytest

from readability_triton.serving.tracing import Tracing


@pytest.fixture
def tracing(tmp_path):
    return Tracing(tmp_path / "new" / "traces.json", 20)


def test_triton_gets_a_full_path_in_the_folder_of_parts_and_the_rate(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    arguments = Tracing(Path("traces.json"), 20).arguments()
    assert f"--trace-config=triton,file={tmp_path}/traces.json.parts/part" in arguments
    assert {"--trace-config=rate=20", "--trace-config=level=TIMESTAMPS"} <= set(arguments)


@pytest.mark.parametrize("count", [0, 1, 2, 11])
def test_parts_become_one_list_in_the_order_in_which_they_were_written(tracing, count):
    tracing.begin()
    for number in range(count):
        (tracing.parts / f"part.{number}").write_text(json.dumps([{"id": number}, {"id": number, "timestamps": []}]))
    for _ in range(2):
        tracing.end()
    assert [trace["id"] for trace in json.loads(tracing.file.read_text())] == sorted([*range(count)] * 2)
    assert [file.name for file in tracing.file.parent.iterdir()] == ["traces.json"]


def test_nothing_is_taken_over_from_a_run_before(tracing):
    tracing.parts.mkdir(parents=True)
    tracing.file.write_text('[{"id": 1}]')
    (tracing.parts / "part.0").write_text('[{"id": 1}]')
    tracing.begin()
    tracing.end()
    assert json.loads(tracing.file.read_text()) == []


def test_a_file_that_cannot_be_written_is_an_error_before_the_server_starts(tracing):
    tracing.file.mkdir(parents=True)
    with pytest.raises(OSError, match=r"traces\.json"):
        tracing.begin()
