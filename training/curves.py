"""A picture of a training run."""

from collections.abc import Sequence
from pathlib import Path

import matplotlib as mpl
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from readability_triton.training.run_folder import Epoch


def plot_curves(log: Sequence[Epoch], path: Path) -> None:
    """Draw training and held-out error over the epochs of every fit; the file's ending says in which format."""
    figure = Figure(figsize=(7, 4.2), layout="constrained")
    axes = figure.subplots()
    for number, fit in enumerate(dict.fromkeys(epoch.fit for epoch in log)):
        colour = f"C{number % 10}"
        epochs = [epoch for epoch in log if epoch.fit == fit]
        held_out = [(each.epoch, each.held_out_rmse) for each in epochs if each.held_out_rmse is not None]
        train = [(each.epoch - 0.5, each.train_rmse) for each in epochs if each.train_rmse is not None]
        axes.plot(*_columns(train), color=colour, linestyle=":", marker=".")
        axes.plot(*_columns(held_out), color=colour, marker="o", markersize=4, label=fit if held_out else None)
    axes.set(xlabel="epoch", ylabel="RMSE", title="held out (solid), in training (dotted)")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.grid(alpha=0.3)
    if axes.get_legend_handles_labels()[0]:
        axes.legend(frameon=False, fontsize="small")
    with mpl.rc_context({"svg.hashsalt": "readability"}):
        figure.savefig(path, metadata={"Date": None} if path.suffix == ".svg" else None)


def _columns(points: Sequence[tuple[float, float]]) -> tuple[list[float], list[float]]:
    return [x for x, _ in points], [y for _, y in points]
