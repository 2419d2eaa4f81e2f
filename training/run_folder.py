"""What a training run keeps on disk, so that one that was stopped goes on and loses at most one epoch."""

import csv
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Epoch:
    """A line of the log: epoch 0 is before the first step, `held_out_rmse` is None in the fit on all rows."""

    fit: str
    epoch: int
    train_rmse: float | None
    held_out_rmse: float | None
    seconds: float


class RunFolder:
    """`settings.json`, `log.csv`, the teacher's means, and of each fit the last checkpoint and what came of it.

    Args:
        path: the folder; made if it is not there.
        settings: whatever decides the outcome; a folder is only gone on with under the same settings.

    Raises:
        ValueError: if the folder is of a run with other settings.
    """

    def __init__(self, path: Path, settings: Mapping[str, object]) -> None:
        self.path = path
        self.resumed = (path / "settings.json").is_file()
        if self.resumed:
            self._check(json.loads((path / "settings.json").read_text(encoding="utf-8")), settings)
            return
        path.mkdir(parents=True, exist_ok=True)
        _write_whole(path / "settings.json", json.dumps(settings, indent=1) + "\n")

    def checkpoint(self, fit: str) -> Path:
        """Where this fit's weights are kept."""
        return self.path / f"{fit}.pt"

    def save_epoch(self, epoch: Epoch, predictions: NDArray[np.float64]) -> None:
        """Keep the epoch's held-out predictions, and write the log anew."""
        _write_whole(self._history(epoch.fit), json.dumps([*map(asdict, self.epochs(epoch.fit)), asdict(epoch)]))
        np.save(self.path / f"{epoch.fit}-epoch-{epoch.epoch}.npy", predictions)
        self.write_log(epoch.fit)

    def forget_after(self, fit: str, epoch: int) -> None:
        """Drop epochs later than the fit's checkpoint, which are gone through again."""
        kept = [asdict(each) for each in self.epochs(fit) if each.epoch <= epoch]
        _write_whole(self._history(fit), json.dumps(kept))

    def epochs(self, fit: str) -> list[Epoch]:
        """What the log says of this fit."""
        if not self._history(fit).is_file():
            return []
        return [Epoch(**each) for each in json.loads(self._history(fit).read_text(encoding="utf-8"))]

    def predictions(self, fit: str, epoch: int) -> NDArray[np.float64]:
        """Held-out predictions after an epoch, 0 for those before the first."""
        return np.load(self.path / f"{fit}-epoch-{epoch}.npy")

    def log(self) -> list[Epoch]:
        """What `log.csv` says: every epoch of every fit."""
        fits = sorted(path.stem for path in self.path.glob("*.json") if path.stem != "settings")
        return [epoch for fit in fits for epoch in self.epochs(fit)]

    def write_log(self, writer: str) -> None:
        """Write `log.csv` anew; fits that run at once each write under a name of their own before they replace it."""
        unfinished = self.path / f"log-{writer}.unfinished"
        with unfinished.open("w", newline="", encoding="utf-8") as file:
            lines = csv.DictWriter(file, Epoch.__annotations__)
            lines.writeheader()
            lines.writerows(map(asdict, self.log()))
        unfinished.replace(self.path / "log.csv")

    def _history(self, fit: str) -> Path:
        return self.path / f"{fit}.json"

    def _check(self, found: Mapping[str, object], wanted: Mapping[str, object]) -> None:
        wanted = json.loads(json.dumps(wanted))
        differing = sorted(name for name in {*found, *wanted} if found.get(name) != wanted.get(name))
        if differing:
            differences = "; ".join(f"{name}: {found.get(name)} there, {wanted.get(name)} now" for name in differing)
            raise ValueError(
                f"{self.path} holds a run with other settings ({differences}); name another folder or delete it"
            )


def _write_whole(path: Path, text: str) -> None:
    unfinished = path.with_suffix(".unfinished")
    unfinished.write_text(text, encoding="utf-8")
    unfinished.replace(path)
