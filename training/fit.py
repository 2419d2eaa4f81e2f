"""One fit from its start, or from where it was stopped, to its end."""

import time
from collections.abc import Callable
from contextlib import AbstractContextManager

import numpy as np
from numpy.typing import NDArray

from readability_triton.training.fine_tuning import FineTuning
from readability_triton.training.metrics import rmse
from readability_triton.training.run_folder import Epoch, RunFolder

Progress = Callable[[str, int], AbstractContextManager[Callable[[int], None]]]
"""Opens a progress display with a title and a total; what it yields is called with the amount just done."""


def fit(
    name: str,
    tuning: FineTuning,
    held_out: NDArray[np.int64],
    targets: NDArray[np.float64],
    epochs: int,
    run: RunFolder,
    progress: Progress,
) -> None:
    """Run the epochs that are missing; predictions, checkpoint and log are kept after each.

    Args:
        name: of the fit, as the log and the run folder have it.
        tuning: as it is before the first epoch.
        held_out: rows to predict after each epoch; none in the fit on all rows.
        targets: FP64 [N], the human scores that predictions are measured against.
        epochs: how many to run; fewer if the held-out error stops falling.
        run: where to keep what comes of it.
        progress: how to show what is being done.
    """
    if run.checkpoint(name).is_file():
        tuning.restore(run.checkpoint(name))
        run.forget_after(name, tuning.epoch)
    else:
        run.forget_after(name, -1)
        _keep(name, tuning, held_out, targets, None, 0.0, run)
        tuning.save(run.checkpoint(name))
    while tuning.epoch < epochs and not stopped_early(run.epochs(name), tuning.recipe.patience):
        started = time.monotonic()
        with progress(f"{name}, epoch {tuning.epoch + 1} of {epochs}", len(tuning.rows)) as on_progress:
            train_rmse = tuning.run_epoch(on_progress)
        _keep(name, tuning, held_out, targets, train_rmse, time.monotonic() - started, run)
        tuning.save(run.checkpoint(name))


def stopped_early(epochs: list[Epoch], patience: int) -> bool:
    """Whether the last `patience` epochs all failed to lessen the held-out error."""
    errors = [epoch.held_out_rmse for epoch in epochs if epoch.held_out_rmse is not None]
    return len(errors) > patience and min(errors[-patience:]) >= min(errors[:-patience])


def _keep(
    name: str,
    tuning: FineTuning,
    held_out: NDArray[np.int64],
    targets: NDArray[np.float64],
    train_rmse: float | None,
    seconds: float,
    run: RunFolder,
) -> None:
    scores = tuning.predict(held_out)
    error = rmse(scores, targets[held_out]) if len(held_out) else None
    run.save_epoch(Epoch(name, tuning.epoch, train_rmse, error, round(seconds, 1)), scores)
