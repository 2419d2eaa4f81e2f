"""A fit of K models at once: step by step, to be stopped and gone on with."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from readability_triton.training.head import Head
from readability_triton.training.multitask import stacked_head
from readability_triton.training.multitask.recipe import MultitaskRecipe
from readability_triton.training.multitask.stacked_encoder import StackedEncoder
from readability_triton.training.multitask.stacked_weights import StackedWeights
from readability_triton.training.multitask.tasks import Pass, on_device
from readability_triton.training.multitask.token_store import TokenStore

MOST_TOKENS = {"cpu": 8_192, "cuda": 400_000}
"""Of all models together in one pass of predictions, which bounds memory."""


class StackedFit:
    """K models of one kind, that start from the pretrained layers and differ in what they learn from.

    Args:
        encoder: computes the layers.
        store: gives batches of texts.
        recipe: the settings.
        seeds: of each model's head.
    """

    def __init__(
        self, encoder: StackedEncoder, store: TokenStore, recipe: MultitaskRecipe, seeds: Sequence[int]
    ) -> None:
        self.encoder, self.store, self.recipe, self.n_models, self.step = encoder, store, recipe, len(seeds), 0
        top = encoder.layers.last - 1

        def layer_rate(name: str) -> float:
            return recipe.layer_decay ** (top - int(name.split(".")[0]))

        def layer_decay(name: str) -> float:
            return recipe.weight_decay if name.endswith("weight") and "norm" not in name else 0.0

        def head_decay(name: str) -> float:
            return recipe.weight_decay if name in stacked_head.DECAYED else 0.0

        self.layers = StackedWeights(
            encoder.start, self.n_models, layer_rate, layer_decay, recipe.averaging, encoder.dtype
        )
        start = {name: each.to(store.device) for name, each in stacked_head.start_of_head(encoder.width, 0).items()}
        self.head = StackedWeights(
            start, self.n_models, stacked_head.RATES.__getitem__, head_decay, recipe.averaging, torch.float32
        )
        for model, seed in enumerate(seeds):
            for name, weight in stacked_head.start_of_head(encoder.width, seed).items():
                self.head.set(name, model, weight)

    def start_from_ridge(
        self, texts: NDArray[np.int64], targets: NDArray[np.float64], seen: Sequence[NDArray[np.bool_]]
    ) -> None:
        """Start the linear layers from ridge regressions on the pretrained layers' means.

        Args:
            texts: N texts.
            targets: FP64 [N], their scores.
            seen: of each model, which of them it may see, BOOL [N].
        """
        means = self._pretrained_means(texts)
        for model, rows in enumerate(seen):
            head = Head.fit(means[rows], targets[rows], self.recipe.ridge_penalty)
            self.head.set("head.weight", model, torch.from_numpy(head.weight))
            self.head.set("head.bias", model, torch.tensor([head.bias]))

    def run(
        self,
        passes: Sequence[Pass],
        targets: NDArray[np.float64],
        levels: NDArray[np.float64],
        progress: Callable[[int], None],
        checkpoint: Path | None = None,
        steps_between_checkpoints: int = 100,
    ) -> None:
        """Take the steps that are left.

        Args:
            passes: what each step learns from, as `training.multitask.tasks.tasks` plans it.
            targets: FP64 [K, U].
            levels: FP64 [U].
            progress: called with the number of steps taken.
            checkpoint: where to keep what is needed to go on; gone on from if it is there.
            steps_between_checkpoints: how often to write it.
        """
        if checkpoint is not None and checkpoint.is_file():
            self._restore(checkpoint)
        for _ in range(self.step):  # what was drawn before is drawn again, so that the order goes on
            for each in passes:
                for task in each:
                    task.draw()
        progress(self.step)
        all_targets, all_levels = on_device(targets, self.store.device), on_device(levels, self.store.device)
        while self.step < self.recipe.steps:
            for each in passes:
                self._learn(each, all_targets, all_levels)
            self._take_step()
            progress(1)
            if checkpoint is not None and self.step % steps_between_checkpoints == 0:
                self._save(checkpoint)

    def predict(self, pools: Sequence[NDArray[np.int64]]) -> NDArray[np.float64]:
        """Scores FP64 [K, U] by the averaged weights; NaN for texts outside a model's pool.

        Args:
            pools: of each model the texts to score.
        """
        self._compute_with("average")
        scores = np.full((self.n_models, self.store.n_texts), np.nan)
        # Of pools of other sizes, the smaller ones repeat texts.
        longest = max(len(pool) for pool in pools)
        filled = [pool if len(pool) else np.zeros(1, np.int64) for pool in pools]
        by_length = [pool[np.argsort(-self.store.lengths[pool], kind="stable")] for pool in filled]
        table = np.stack([pool[np.arange(longest) * len(pool) // max(1, longest)] for pool in by_length])
        start = 0
        with torch.inference_mode():
            while start < longest:
                width = int(self.store.lengths[table[:, start]].max())
                n = max(1, MOST_TOKENS[self.store.device.type] // (self.n_models * width))
                texts = table[:, start : start + n]
                found = self._scores(texts).double().cpu().numpy()
                np.put_along_axis(scores, texts, found, axis=1)
                start += n
        for model, pool in enumerate(pools):
            if not len(pool):
                scores[model] = np.nan
        self._compute_with("exact")
        return scores

    def pooled_encoder_weights(self, model: int) -> dict[str, Tensor]:
        """One model's averaged weights by the names of `readability_triton.stages.encoder.PooledEncoder`; BERT only."""
        layers = self.encoder.to_layers(self.layers.averaged(model))
        return layers | stacked_head.to_pooled_encoder(self.head.averaged(model))

    def _scores(self, texts: NDArray[np.int64]) -> Tensor:
        ids, mask, counts = self.store.batch(texts)
        return stacked_head.score(self.head.computed, self.encoder.means(self.layers.computed, ids, mask), counts)

    def _learn(self, tasks: Pass, targets: Tensor, levels: Tensor) -> None:
        drawn = [task.draw() for task in tasks]
        texts = np.concatenate(drawn, axis=1)
        at = torch.from_numpy(texts).to(self.store.device)
        scores, level = self._scores(texts), levels[at]
        target = targets.gather(1, at)
        parts = [part.shape[1] for part in drawn]
        loss = torch.zeros((), device=self.store.device)
        split = (each.split(parts, 1) for each in (scores, target, level))
        for task, of_task, wanted, levelled in zip(tasks, *split, strict=True):
            loss = loss + task.loss(of_task, wanted, levelled, self.head.computed).sum()
        loss.backward()

    def _take_step(self) -> None:
        norms = (self.layers.squared_gradient_norms() + self.head.squared_gradient_norms()).sqrt()
        finite = torch.isfinite(norms)
        for weights in (self.layers, self.head):
            weights.gradients.masked_fill_(~finite[:, None], 0.0)  # one model's overflow costs it a step, no more
        factors = (self.recipe.max_gradient_norm / norms).clamp(max=1.0).nan_to_num(0.0)
        rates = torch.full_like(norms, self.recipe.learning_rate * self.recipe.rate(self.step))
        for weights in (self.layers, self.head):
            weights.take_step(rates, factors)
        self.step += 1

    def _pretrained_means(self, texts: NDArray[np.int64]) -> NDArray[np.float32]:
        means = np.empty((len(texts), self.encoder.width), dtype=np.float32)
        first = {name: weight[:1] for name, weight in self.layers.computed.items()}
        order = np.argsort(-self.store.lengths[texts], kind="stable")
        start = 0
        with torch.inference_mode():
            while start < len(texts):
                n = max(1, MOST_TOKENS[self.store.device.type] // int(self.store.lengths[texts[order[start]]]))
                rows = order[start : start + n]
                ids, mask, _ = self.store.batch(texts[rows][None])
                means[rows] = self.encoder.means(first, ids, mask)[0].cpu().numpy()
                start += n
        return means

    def _compute_with(self, which: str) -> None:
        for weights in (self.layers, self.head):
            weights.compute_with(weights.average if which == "average" else weights.exact)

    def _save(self, path: Path) -> None:
        unfinished = path.with_suffix(".unfinished")
        torch.save({"step": self.step, "layers": self.layers.state(), "head": self.head.state()}, unfinished)
        unfinished.replace(path)

    def _restore(self, path: Path) -> None:
        saved: Mapping[str, dict[str, Tensor]] = torch.load(path, map_location="cpu", weights_only=True)
        self.step = int(saved["step"])  # type: ignore[call-overload]
        self.layers.restore(saved["layers"], self.step)
        self.head.restore(saved["head"], self.step)
