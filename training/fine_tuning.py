"""One fine-tuning of an encoder's upper layers, epoch by epoch."""

import math
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from readability_triton.stages.encoder import PooledEncoder
from readability_triton.training.compute import Compute
from readability_triton.training.head import Head
from readability_triton.training.lower_states import LowerStates
from readability_triton.training.recipe import Recipe

BATCHES_SORTED_TOGETHER = 25
PREDICT_BATCH = 32
LEAST_SQUARED_ERROR = 1e-10


def saved_weights(path: Path) -> dict[str, Tensor]:
    """The averaged weights that `FineTuning.save` wrote, by their names in `PooledEncoder`, FP32 on the host."""
    average: dict[str, Tensor] = torch.load(path, map_location="cpu", weights_only=True)["average"]
    return average


class FineTuning:
    """Weights in FP32, a copy of them to compute with, and their running average, which is what predicts.

    Dropout is off: every random choice is the order of the batches, which depends on the seed and the epoch alone, so
    that a fit restored from its file goes on as if it had never stopped.
    """

    def __init__(
        self,
        pretrained: PooledEncoder,
        states: LowerStates,
        rows: NDArray[np.int64],
        targets: NDArray[np.float64],
        recipe: Recipe,
        compute: Compute,
        seed: int,
    ) -> None:
        """Start from the pretrained layers and a ridge regression on their outputs.

        Args:
            pretrained: the encoder; it is left as it is.
            states: of all texts, as the frozen layers give them.
            rows: the texts to fit on.
            targets: FP64 [N] of all texts; only those of `rows` are read.
            recipe: the settings.
            compute: where to compute.
            seed: of the order of the rows.
        """
        self.states, self.rows, self.targets, self.recipe, self.compute = states, rows, targets, recipe, compute
        self.seed, self.epoch = seed, 0
        self.encoder = compute.shadow(pretrained)
        self.computed = self._tuned_parameters()
        exact = dict(pretrained.named_parameters())
        self.weights = {name: nn.Parameter(exact[name].detach().clone().to(compute.device)) for name in self.computed}
        self._start_from_ridge()
        self.average = {name: weight.detach().clone() for name, weight in self.weights.items()}
        self.n_steps = math.ceil(len(rows) / recipe.batch) * recipe.epochs
        self.step = 0
        self.optimizer = torch.optim.AdamW(self._parameter_groups())

    def run_epoch(self, on_progress: Callable[[int], None]) -> float:
        """Go through the rows once, calling `on_progress` with the rows just done; the root-mean-squared error."""
        squared = 0.0
        for rows in self._batches():
            hidden, mask = self.states.batch(rows, self.compute)
            targets = torch.tensor(self.targets[rows], dtype=torch.float32, device=self.compute.device)
            scores = self.encoder.head(self.encoder.pool(hidden, mask, self.recipe.n_frozen))[:, 0]
            # The root's slope has no bound where a batch is scored exactly right.
            loss = nn.functional.mse_loss(scores, targets).clamp(min=LEAST_SQUARED_ERROR).sqrt()
            loss.backward()
            self._take_step()
            squared += loss.item() ** 2 * len(rows)
            on_progress(len(rows))
        self.epoch += 1
        return math.sqrt(squared / len(self.rows))

    def predict(self, rows: NDArray[np.int64]) -> NDArray[np.float64]:
        """Scores FP64 of these rows by the averaged weights."""
        self._compute_with(self.average)
        scores = np.empty(len(rows))
        by_length = np.argsort(self.states.lengths[rows], kind="stable")
        with torch.inference_mode():
            for start in range(0, len(rows), PREDICT_BATCH):
                chosen = by_length[start : start + PREDICT_BATCH]
                hidden, mask = self.states.batch(rows[chosen], self.compute)
                pooled = self.encoder.pool(hidden, mask, self.recipe.n_frozen)
                scores[chosen] = self.encoder.head(pooled)[:, 0].cpu().numpy()
        self._compute_with(self.weights)
        return scores

    def save(self, path: Path) -> None:
        """Write all that is needed to go on, whole or not at all."""
        unfinished = path.with_suffix(".unfinished")
        torch.save(
            {
                "epoch": self.epoch,
                "step": self.step,
                "weights": {name: weight.detach() for name, weight in self.weights.items()},
                "average": self.average,
                "optimizer": self.optimizer.state_dict(),
            },
            unfinished,
        )
        unfinished.replace(path)

    def restore(self, path: Path) -> None:
        """Go on from what `save` wrote."""
        saved = torch.load(path, map_location=self.compute.device, weights_only=True)
        self.epoch, self.step = saved["epoch"], saved["step"]
        with torch.no_grad():
            for name, weight in self.weights.items():
                weight.copy_(saved["weights"][name])
        self.average = saved["average"]
        self.optimizer.load_state_dict(saved["optimizer"])
        self._compute_with(self.weights)

    def _tuned_parameters(self) -> dict[str, nn.Parameter]:
        """The parameters of the upper layers and of the linear layer; all others take no gradient."""
        tuned = {}
        for name, parameter in self.encoder.named_parameters():
            part, number, *_ = name.split(".")
            parameter.requires_grad_(part == "head" or (part == "layers" and int(number) >= self.recipe.n_frozen))
            if parameter.requires_grad:
                tuned[name] = parameter
        return tuned

    def _start_from_ridge(self) -> None:
        head = Head.fit(self.states.means[self.rows], self.targets[self.rows], self.recipe.ridge_penalty)
        with torch.no_grad():
            self.weights["head.weight"].copy_(torch.from_numpy(head.weight)[None])
            self.weights["head.bias"].fill_(head.bias)
        self._compute_with(self.weights)

    def _parameter_groups(self) -> list[dict[str, object]]:
        highest = len(self.encoder.layers) - 1
        groups: list[dict[str, object]] = []
        for name, weight in self.weights.items():
            below = 0 if name.startswith("head.") else highest - int(name.split(".")[1])
            peak = self.recipe.learning_rate * self.recipe.layer_decay**below
            decay = self.recipe.weight_decay if weight.ndim > 1 else 0.0
            groups.append({"params": [weight], "lr": peak, "peak": peak, "weight_decay": decay})
        return groups

    def _batches(self) -> Iterator[NDArray[np.int64]]:
        """Rows of similar length together, so that little padding is computed; in another order each epoch."""
        rng = np.random.default_rng([self.seed, self.epoch])
        shuffled = rng.permutation(self.rows)
        lengths = self.states.lengths
        size, stretch = self.recipe.batch, self.recipe.batch * BATCHES_SORTED_TOGETHER
        batches = []
        for start in range(0, len(shuffled), stretch):
            part = shuffled[start : start + stretch]
            part = part[np.argsort(lengths[part], kind="stable")]
            batches += [part[at : at + size] for at in range(0, len(part), size)]
        return (batches[at] for at in rng.permutation(len(batches)))

    def _take_step(self) -> None:
        for name, weight in self.weights.items():
            gradient = self.computed[name].grad
            weight.grad = None if gradient is None else gradient.float()
            self.computed[name].grad = None
        nn.utils.clip_grad_norm_(self.weights.values(), self.recipe.max_gradient_norm)
        for group in self.optimizer.param_groups:
            group["lr"] = group["peak"] * self._rate()
        self.optimizer.step()
        self.step += 1
        self._compute_with(self.weights)
        with torch.no_grad():
            keep = min(self.recipe.averaging, self.step / (self.step + 10))
            for name, weight in self.weights.items():
                self.average[name].lerp_(weight, 1 - keep)

    def _rate(self) -> float:
        """Share of the peak learning rate: a linear rise, then a linear fall to nothing."""
        rise = max(1, round(self.recipe.warm_up * self.n_steps))
        if self.step < rise:
            return (self.step + 1) / rise
        return max(0.0, (self.n_steps - self.step) / max(1, self.n_steps - rise))

    def _compute_with(self, weights: dict[str, nn.Parameter] | dict[str, Tensor]) -> None:
        with torch.no_grad():
            for name, parameter in self.computed.items():
                parameter.copy_(weights[name])
