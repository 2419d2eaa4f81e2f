"""docs/decide.md: its commands run as they stand, one after the other, with shorter runs and on free ports."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
BLOCKS = re.findall(r"```sh\n(.*?)```", (ROOT / "docs" / "decide.md").read_text(encoding="utf-8"), re.DOTALL)
SHORTER = {
    "--requests 500": "--requests 20",
    "--seconds 60": "--seconds 2 --warm-up 1",
    "--seconds 120": "--seconds 6",
    "desk_bls 2000": "desk_bls 60",
    "expovariate(20)": "expovariate(100)",
    "--at-most 60": "--at-most 3 --every 1",
}
"""What takes long in the page, and what stands in its place here."""

LIMIT_S = 220
COMMAND = f'#!/bin/sh\nexec "{sys.executable}" -m readability_triton.cli.main "$@"\n'


@dataclass(frozen=True)
class Ran:
    """A block.

    Attributes:
        last: its last command.
        code: of that.
        output: what it printed.
    """

    last: str
    code: int
    output: str

    @property
    def words(self) -> str:
        """The output, however its lines are wrapped."""
        return " ".join(self.output.split())


def script(folder: Path) -> str:
    """All blocks in one shell, each with its output and exit code in files."""
    text = "\n".join(
        f"{{\n{block}}} > {folder}/{number}.out 2>&1\necho $? > {folder}/{number}.code"
        for number, block in enumerate(BLOCKS)
    )
    for long, short in SHORTER.items():
        assert long in text
        text = text.replace(long, short)
    listening = [socket.create_server(("127.0.0.1", 0)) for _ in range(3)]
    for port, free in zip(("8000", "8001", "8002"), listening, strict=True):
        text = re.sub(rf"\b{port}\b", str(free.getsockname()[1]), text)
        free.close()
    return text


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> list[Ran]:
    """Every block."""
    folder = tmp_path_factory.mktemp("decide")
    (folder / "bin").mkdir()
    (folder / "work").mkdir()
    (folder / "bin" / "readability").write_text(COMMAND)
    (folder / "bin" / "readability").chmod(0o755)
    path = f"{folder / 'bin'}:{Path(sys.executable).parent}:{os.environ['PATH']}"
    shell = subprocess.Popen(
        ["bash", "-c", script(folder)],
        cwd=folder / "work",
        env=os.environ | {"PATH": path, "PYTHONPATH": str(ROOT)},
        stdin=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        shell.wait(LIMIT_S)
    finally:
        if shell.poll() is None:
            os.killpg(shell.pid, signal.SIGTERM)  # with the server that it may have started
    return [
        Ran(
            block.replace("\\\n", "").splitlines()[-1],
            int((folder / f"{number}.code").read_text()),
            (folder / f"{number}.out").read_text(),
        )
        for number, block in enumerate(BLOCKS)
    ]


def those(ran: list[Ran], begins: str) -> list[Ran]:
    """The blocks whose last command begins so."""
    return [block for block in ran if block.last.startswith(begins)]


def test_the_ensemble_is_sound_and_drawn(ran: list[Ran]) -> None:
    (drawn,) = those(ran, "readability graph")
    assert drawn.code == 0
    assert "clean → topic" in drawn.output


@pytest.mark.parametrize(
    ("models", "sources"),
    [("desk", ["Triton's traces"]), ("desk desk_bls", ["Triton's traces", "the model's own output SPANS"])],
)
def test_every_step_is_seen_in_the_ensemble_and_in_its_twin(ran: list[Ran], models: str, sources: list[str]) -> None:
    (explained,) = those(ran, f"readability explain {models} --")
    assert explained.code == 0, explained.output
    assert re.findall(r"\(p50 of 20\), by (.*?) *\n", explained.output) == sources
    for step in ("clean", "urgency", "topic"):
        assert len(re.findall(rf"^ +{step} .*ms", explained.output, re.MULTILINE)) >= 2 * len(sources)


def test_the_twin_gives_the_same_answers_before_and_after_the_shadow(ran: list[Ran]) -> None:
    compared = those(ran, "readability compare desk desk_bls ")
    assert [one.code for one in compared] == [0, 0], compared
    assert all("Both give the same answers" in one.words for one in compared)


def test_the_twin_with_a_mistake_is_found_out(ran: list[Ran]) -> None:
    (mistaken,) = those(ran, "readability compare desk_bls desk_short")
    assert mistaken.code == 1
    assert re.search(r"WRONG: desk_bls and desk_short .* The largest difference is 0\.\d+, at request", mistaken.words)


def test_a_capacity_is_looked_for_in_both(ran: list[Ran]) -> None:
    (looked,) = those(ran, "readability capacity")
    assert looked.code in (0, 1), looked.output  # so short a run may not tell it from the noise
    assert "Both give the same answers" in looked.words
    for model in ("desk", "desk_bls"):
        assert re.search(rf"• {model}[: ][^•]*p90 within 250 ms", looked.words)


def test_clients_are_answered_while_the_twin_is_in_shadow(ran: list[Ran]) -> None:
    (sent,) = those(ran, "python3 traffic.py")
    assert (sent.code, sent.output) == (0, "")


def test_the_shadow_is_logged_without_texts(ran: list[Ran]) -> None:
    (logged,) = those(ran, "tail")
    line = json.loads(logged.output)
    assert (line["answer"], line["candidate"], line["verdict"]) == ("desk", "desk_bls", "same")
    assert "printer" not in logged.output


def test_the_exit_code_is_what_was_concluded_and_no_answer_was_wrong(ran: list[Ran]) -> None:
    (watched,) = those(ran, "readability watch")  # whether so few requests show that it is slower is chance
    (verdict,) = re.findall(r"requests: (no worse|worse|undecided)", watched.words)[-1:]
    assert watched.code == {"no worse": 0, "worse": 1, "undecided": 10}[verdict], watched.output
    assert re.search(r"wrong 0.00% 0.00%", watched.words)
