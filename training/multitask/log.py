"""The log of a multi-task training: a line of JSON a model or figure, as it lies beside the bundle."""

import json
from pathlib import Path

import numpy as np

from readability_triton.training.multitask.train import MultitaskTrained


def write_log(trained: MultitaskTrained, path: Path) -> None:
    """One line a fit with its error on the rows that it did not see, then one a yardstick, all out of fold."""
    lines: list[dict[str, object]] = [
        {"fit": name, "rows_not_seen": n, "rmse": round(error, 4)} for name, n, error in trained.fits
    ]
    for figure in trained.figures:
        values = {
            scorer: None if np.isnan(value) else round(float(value), 4)
            for scorer, value in zip(("encoder", "forest", "blend"), figure.values, strict=True)
        }
        lines.append({"figure": figure.name, "n": figure.n, **values})
    lines.append({"blend_weight": trained.bundle.facts.bert_weight})
    path.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
