"""Every row once, whatever stops the job on the way: real clusters of Ray, real processes that die."""

import dataclasses
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

pytest.importorskip("ray", reason="needs the extra [bulk], 140 MB, which requirements.lock leaves out: `make bulk`")

import numpy as np
import pyarrow.parquet as pq
from ray.cluster_utils import Cluster

from readability_triton.bench.bulk import TINY
from readability_triton.bulk import job as bulk_job
from readability_triton.serving.repository import copy_repository, default_repository
from readability_triton.serving.server import Options, running
from readability_triton.stages.pipeline import InProcessPipeline
from readability_triton.training.random_encoder import put_random_encoder

N_ROWS = 205
PARTS = 11

pytestmark = pytest.mark.slow


def check(rows, n_rows: int = N_ROWS) -> None:
    """Every row once, in order, with the score that the pipeline gives its text."""
    assert [row["row"] for row in rows] == list(range(n_rows))
    assert [row["id"] for row in rows] == [f"row {number}" for number in range(n_rows)]
    assert [row["error"] for row in rows] == ["text is empty" if row % 10 == 9 else None for row in range(n_rows)]


def check_scores(rows, file: Path) -> None:
    texts = [json.loads(line)["text"] for line in file.read_text().splitlines()]
    truth = InProcessPipeline(default_repository())
    some = [row for row in rows if row["error"] is None][::7]
    expected = truth.score([texts[row["row"]] for row in some], np.ones((len(some), 1), dtype=np.float32))[:, 0]
    assert [row["score"] for row in some] == expected.tolist()


def test_two_actors_share_one_file_and_nothing_is_left_to_do(corpus, job, scores) -> None:
    file, pids = corpus(N_ROWS), set()
    summary = bulk_job.run(job(file, actors=2), lambda part, pid: pids.add(pid))
    assert summary.total.rows == N_ROWS
    assert summary.total.errors == {"text is empty": 20}
    assert summary.total.tokens > N_ROWS
    check(scores())
    check_scores(scores(), file)
    again = bulk_job.run(job(file), lambda part, pid: pytest.fail("a part was written twice"))
    assert (again.before, again.now.rows) == (summary.total, 0)


def test_a_killed_worker_loses_nothing(corpus, job, scores) -> None:
    killed = []

    def kill_once(part, pid: int) -> None:
        if not killed:
            killed.append(pid)
            os.kill(pid, signal.SIGKILL)

    summary = bulk_job.run(job(corpus(N_ROWS), actors=1), kill_once)
    assert killed
    assert summary.total.rows == N_ROWS
    check(scores())


def test_a_lost_node_loses_nothing(corpus, job, scores) -> None:
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "object_store_memory": 100 << 20})
    try:
        other = [cluster.add_node(num_cpus=1, object_store_memory=100 << 20)]
        cluster.wait_for_nodes()

        def kill_once(part, pid: int) -> None:
            if other:
                cluster.remove_node(other.pop(), allow_graceful=False)

        summary = bulk_job.run(job(corpus(N_ROWS), actors=2, address=cluster.address), kill_once)
    finally:
        cluster.shutdown()
    assert not other
    assert summary.total.rows == N_ROWS
    check(scores())


def test_a_file_that_breaks_off_ends_nothing_and_is_read_again_when_mended(corpus, job, scores, tmp_path) -> None:
    good = corpus(45)
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "good.jsonl").write_bytes(good.read_bytes())
    (tmp_path / "in" / "bad.jsonl.gz").write_bytes(b"nothing of gzip")
    first = bulk_job.run(job(tmp_path / "in", actors=1))
    assert [Path(file).name for file in first.unreadable] == ["bad.jsonl.gz"]
    assert first.total.errors == {"input cannot be read": 1, "text is empty": 4}
    (tmp_path / "in" / "bad.jsonl.gz").unlink()
    (tmp_path / "in" / "mended.jsonl").write_text('{"text": "All is well.", "id": "late"}\n')
    second = bulk_job.run(job(tmp_path / "in", actors=1))
    assert (second.before.rows, second.now.rows, second.unreadable) == (45, 1, ())
    assert [row["id"] for row in scores()][-1] == "late"
    check(scores()[:-1], 45)


def test_ctrl_c_stops_it_and_the_same_command_goes_on(corpus, scores, tmp_path) -> None:
    command = [
        sys.executable,
        "-m",
        "readability_triton.cli.main",
        "bulk",
        str(corpus(N_ROWS)),
        str(tmp_path / "scores"),
    ]
    command += ["--keep", "id", "--rows-per-part", "20", "--actors", "1"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        while not list((tmp_path / "scores").glob("part-*")) and process.poll() is None:
            time.sleep(0.02)
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=120)
    finally:
        process.kill()
    assert process.returncode == 130, errors
    assert "the same command goes on" in errors
    assert len(list((tmp_path / "scores").glob("part-*"))) < PARTS
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 9, done.stderr
    assert dict(line.split("\t") for line in done.stdout.splitlines())["rows"] == str(N_ROWS)
    check(scores())


def test_served_scores_are_the_same_to_the_last_bit(corpus, job, scores, tmp_path) -> None:
    file = corpus(60)
    bulk_job.run(job(file, actors=1))
    in_process = scores()
    with running(Options()) as server:
        models = bulk_job.Models(default_repository(), (server.grpc_url,))
        served = bulk_job.Job(
            str(file), str(tmp_path / "served"), models, bulk_job.Columns("text", ("id",)), rows_per_part=20, actors=1
        )
        bulk_job.run(served)
    (tmp_path / "scores").rename(tmp_path / "in process")
    (tmp_path / "served").rename(tmp_path / "scores")
    assert scores() == in_process


def test_a_full_disk_stops_it_and_the_same_command_goes_on(corpus, job, scores, tmp_path) -> None:
    """A disk of 64 KiB holds some parts; the job names the cause, and goes on when the disk has grown."""
    file, folder = corpus(N_ROWS), tmp_path / "scores"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=64k", "readability-test", str(folder)]
    if os.geteuid() or subprocess.run(mount, check=False, capture_output=True).returncode:
        pytest.skip("needs to mount a file system of 64 KiB: root, outside a restricted container")
    try:
        with pytest.raises(bulk_job.JobError, match=r"No space left on device.*the same command goes on"):
            bulk_job.run(job(file, actors=1))
        parts = list(folder.glob("part-*"))
        assert 0 < len(parts) < PARTS
        assert not list(folder.glob(".unfinished-*"))
        subprocess.run(["mount", "-o", "remount,size=4m", str(folder)], check=True)
        summary = bulk_job.run(job(file, actors=1))
        assert summary.before.rows >= 20 * (len(parts) - 1)
        assert summary.total.rows == N_ROWS
        check(scores())
    finally:
        subprocess.run(["umount", str(folder)], check=True)


def test_a_corrupt_part_is_named_and_made_again_once_it_is_removed(corpus, job, scores, tmp_path) -> None:
    file = corpus(45)
    bulk_job.run(job(file, actors=1))
    part = sorted((tmp_path / "scores").glob("part-*"))[1]
    part.write_bytes(part.read_bytes()[:-100])
    with pytest.raises(bulk_job.JobError, match=rf"{part.name} is not a part .* remove it"):
        bulk_job.run(job(file, actors=1))
    part.unlink()
    summary = bulk_job.run(job(file, actors=1))
    assert (summary.before.rows, summary.now.rows) == (25, 20)
    check(scores(), 45)


def test_a_hundred_thousand_rows_with_a_node_and_a_worker_killed_on_the_way(tmp_path, made_up_text) -> None:
    """With an encoder of one small layer: what is tested is who scores which rows, not what they score."""
    n_rows, size, repository = 100_000, 2_000, copy_repository(default_repository(), tmp_path / "repository")
    put_random_encoder(repository, "fp32", TINY)
    texts = [made_up_text(3 + row % 7, seed=row) for row in range(500)]
    file = tmp_path / "corpus.jsonl"
    with file.open("w", encoding="utf-8") as lines:
        lines.writelines(json.dumps({"text": f"{row} {texts[row % 500]}"}) + "\n" for row in range(n_rows))
    models, output = bulk_job.Models(repository), tmp_path / "scores"
    job = bulk_job.Job(str(file), str(output), models, rows_per_part=size, actors=2)
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "object_store_memory": 100 << 20})
    try:
        other, parts = [cluster.add_node(num_cpus=1, object_store_memory=100 << 20)], []
        cluster.wait_for_nodes()

        def kill(part, pid: int) -> None:
            parts.append(part)
            if len(parts) == 5:
                cluster.remove_node(other.pop(), allow_graceful=False)
            if len(parts) == 20:
                os.kill(pid, signal.SIGKILL)

        summary = bulk_job.run(dataclasses.replace(job, address=cluster.address), kill)
    finally:
        cluster.shutdown()
    assert not other
    assert len(parts) > 20
    assert (summary.total.rows, summary.total.errors) == (n_rows, {})
    table = pq.read_table(output, columns=["row", "score"])
    assert sorted(table["row"].to_pylist()) == list(range(n_rows))
    assert table["score"].null_count == 0


def test_another_job_in_the_same_folder_is_refused(corpus, job, tmp_path) -> None:
    file = corpus(5)
    bulk_job.run(job(file, actors=1))
    other = corpus(5).rename(tmp_path / "other.jsonl")
    with pytest.raises(bulk_job.JobError, match=r"holds another job's parts \(source was"):
        bulk_job.run(job(other))


@pytest.mark.parametrize(
    ("keep", "message"), [(("score",), "columns of its own named score"), (("id", "id"), "can be kept once")]
)
def test_columns_that_clash_are_refused_before_anything_starts(corpus, job, keep, message) -> None:
    wrong = dataclasses.replace(job(corpus(5)), columns=bulk_job.Columns("text", keep))
    with pytest.raises(bulk_job.JobError, match=message):
        bulk_job.run(wrong)


def test_other_models_in_the_same_folder_are_refused_by_their_digest(corpus, job, tmp_path) -> None:
    """Of the same size, too: what tells models apart is what they hold."""
    file, repository = corpus(5), copy_repository(default_repository(), tmp_path / "repository")
    ours = dataclasses.replace(job(file, actors=1), models=bulk_job.Models(repository))
    bulk_job.run(ours)
    features = repository / "preprocess" / "1" / "features.json"
    content = features.read_bytes()
    features.unlink()  # it is a link to the project's
    features.write_bytes(content[:-1] + b" ")
    with pytest.raises(
        bulk_job.JobError, match=r"another job's parts \(preprocess/1/features\.json was '[0-9a-f]{64}'"
    ):
        bulk_job.run(ours)


def test_a_missing_input_is_one_line(job, tmp_path) -> None:
    with pytest.raises(bulk_job.JobError, match="does not exist"):
        bulk_job.run(job(tmp_path / "none.jsonl"))
