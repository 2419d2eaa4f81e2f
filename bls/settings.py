"""The orchestrator's parameters in `config.pbtxt`, with defaults for a pipeline on the CPU and on a GPU."""

import math
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

FOLDABLE = ("preprocess", "cuml", "postprocess")
"""Stages that the orchestrator's process can compute itself."""

OTHERS = "*"
"""Stands for all models that a parameter does not name."""

DRIVER = Path("/dev/nvidiactl")


@dataclass(frozen=True)
class Limits:
    """Of one stage's lane.

    Attributes:
        slice_rows: rows in one call, at most.
        calls_in_flight: calls that have not ended, at most.
    """

    slice_rows: int
    calls_in_flight: int


@dataclass(frozen=True)
class Settings:
    """What `config.pbtxt` says, or the defaults.

    Attributes:
        fold: stages computed in the orchestrator's process.
        chunk_rows: a request of more rows runs its policy for so many at a time.
        chunks_in_flight: chunks of one request that are in work at the same time.
        slice_rows, calls_in_flight: by model; `OTHERS` for those not named.
        max_queued_rows: rows of all requests without an answer; a request beyond that fails with UNAVAILABLE.
        max_wait_s: the longest that any request may take; infinite without a limit.
        ageing_s: see `bls.row_queue`.
        shadow_in_flight: comparisons with a candidate that are in work, or wait; none begins beyond that.
        shadow_beside: rows of comparisons go only while at most so many requests have no answer.
        shadow_log: where comparisons are logged; None for nowhere.
        shadow_log_mb: of that file, in megabytes, before it is renamed and a new one begins.
    """

    fold: frozenset[str]
    chunk_rows: int
    chunks_in_flight: int
    slice_rows: Mapping[str, int]
    calls_in_flight: Mapping[str, int]
    max_queued_rows: int
    max_wait_s: float
    ageing_s: float
    shadow_in_flight: int
    shadow_beside: int
    shadow_log: Path | None
    shadow_log_mb: int

    @classmethod
    def read(cls, parameters: Mapping[str, str], on_gpu: bool) -> "Settings":
        """The settings of a model's configuration parameters.

        Raises:
            ValueError: for a value that is none; the message names the parameter and what it may be.
        """
        defaults = ON_GPU if on_gpu else ON_CPU
        given = {name: parameters.get(name, "auto").strip() for name in defaults}
        text = {name: defaults[name] if value == "auto" else value for name, value in given.items()}
        return cls(
            _fold(text["fold"]),
            _count("chunk_rows", text["chunk_rows"]),
            _count("chunks_in_flight", text["chunks_in_flight"]),
            _by_model("slice_rows", text["slice_rows"]),
            _by_model("calls_in_flight", text["calls_in_flight"]),
            _count("max_queued_rows", text["max_queued_rows"]),
            _milliseconds("max_wait_ms", text["max_wait_ms"]) / 1000,
            _milliseconds("ageing_ms", text["ageing_ms"]) / 1000,
            _count("shadow_in_flight", text["shadow_in_flight"]),
            _count("shadow_beside", text["shadow_beside"], least=0),
            None if text["shadow_log"] == "none" else Path(text["shadow_log"]),
            _count("shadow_log_mb", text["shadow_log_mb"]),
        )

    def limits(self, model: str) -> Limits:
        """Of the lane of a model; a stage computed in this process has one call at a time."""
        calls = 1 if model in self.fold else self.calls_in_flight.get(model, self.calls_in_flight[OTHERS])
        return Limits(self.slice_rows.get(model, self.slice_rows[OTHERS]), calls)


SHADOW = {"shadow_in_flight": "4", "shadow_beside": "0", "shadow_log": "none", "shadow_log_mb": "64"}

ON_CPU = {
    "fold": "preprocess,cuml,postprocess",
    "chunk_rows": "8",
    "chunks_in_flight": "3",
    "slice_rows": "bert-large=2,*=8",
    "calls_in_flight": f"bert-large={len(os.sched_getaffinity(0))},*=8",
    "max_queued_rows": "2048",
    "max_wait_ms": "inf",
    "ageing_ms": "60000",
    **SHADOW,
}
"""A single text waits for the rows that are already in the encoder. Next to a client of 256 texts a request, on two
idle cores, it takes 96 ms at p50 with two calls of two rows in flight, 181 ms with four, and 80 ms with three calls of
one row, which cost 5 % of the throughput at eight requests in flight (docs/policies.md)."""

ON_GPU = {
    "fold": "none",
    "chunk_rows": "128",
    "chunks_in_flight": "4",
    "slice_rows": "*=128",
    "calls_in_flight": "bert-large=2,*=4",
    "max_queued_rows": "65536",
    "max_wait_ms": "inf",
    "ageing_ms": "60000",
    **SHADOW,
}
"""Chosen, not measured."""


def sees_gpu() -> bool:
    """Whether models of kind KIND_AUTO run on a GPU: there is a driver, and CUDA_VISIBLE_DEVICES is not empty."""
    return DRIVER.exists() and os.environ.get("CUDA_VISIBLE_DEVICES") != ""


def _fold(text: str) -> frozenset[str]:
    names = [] if text == "none" else [name.strip() for name in text.split(",")]
    if unknown := [name for name in names if name not in FOLDABLE]:
        raise ValueError(f"parameter fold is auto, none, or some of {', '.join(FOLDABLE)}, not {', '.join(unknown)!r}")
    return frozenset(names)


def _by_model(name: str, text: str) -> Mapping[str, int]:
    parts = [part.partition("=") for part in text.split(",")]
    counts = {model.strip() if equals else OTHERS: _count(name, value or model) for model, equals, value in parts}
    return {OTHERS: 8} | counts


def _count(name: str, text: str, least: int = 1) -> int:
    if not text.strip().isdigit() or int(text) < least:
        raise ValueError(f"parameter {name} is auto or a whole number of at least {least}, not {text!r}")
    return int(text)


def _milliseconds(name: str, text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if math.isnan(value) or value <= 0:
        raise ValueError(f"parameter {name} is a positive number of milliseconds, not {text!r}")
    return value
