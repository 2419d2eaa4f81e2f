"""A fit of K models at once: step by step, to be stopped and gone on with."""

from collections.abc import Callable, Iterator, Mapping, Sequence
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
        self, means: NDArray[np.float32], targets: NDArray[np.float64], seen: Sequence[NDArray[np.bool_]]
    ) -> None:
        """Start the linear layers from ridge regressions on the pretrained layers' means.

        Args:
            means: FP32 [N, width] of N texts, as `pretrained_means` gives them.
            targets: FP64 [N], their scores.
            seen: of each model, which of them it may see, BOOL [N].
        """
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
            steps_between_checkpoints: how often to write it; it is written after the last step too.
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
            if checkpoint is not None and (
                self.step % steps_between_checkpoints == 0 or self.step == self.recipe.steps
            ):
                self._save(checkpoint)

    def predict(
        self,
        pools: Sequence[NDArray[np.int64]],
        progress: Callable[[int], None] = lambda _: None,
        kept: Path | None = None,
        batches_between_saves: int = 200,
    ) -> NDArray[np.float64]:
        """Scores FP64 [K, U] by the averaged weights; NaN for texts outside a model's pool.

        Args:
            pools: of each model the texts to score.
            progress: called with the number of texts of the longest pool just scored.
            kept: where to keep what is scored already; gone on from if it is there.
            batches_between_saves: how often to write it.
        """
        self._compute_with("average")
        # Of pools of other sizes, the smaller ones repeat texts.
        longest = max(len(pool) for pool in pools)
        filled = [pool if len(pool) else np.zeros(1, np.int64) for pool in pools]
        by_length = [pool[np.argsort(-self.store.lengths[pool], kind="stable")] for pool in filled]
        table = np.stack([pool[np.arange(longest) * len(pool) // max(1, longest)] for pool in by_length])
        start, scores = self._scored_before(kept)
        progress(start)
        with torch.inference_mode():
            for batch, texts in enumerate(self._slices(table, start), start=1):
                found = self._scores(texts).double().cpu().numpy()
                np.put_along_axis(scores, texts, found, axis=1)
                start += texts.shape[1]
                progress(texts.shape[1])
                if kept is not None and batch % batches_between_saves == 0:
                    _write_whole(kept, {"start": start, "scores": torch.from_numpy(scores)})
        for model, pool in enumerate(pools):
            if not len(pool):
                scores[model] = np.nan
        self._compute_with("exact")
        return scores

    def pretrained_means(self, texts: NDArray[np.int64]) -> NDArray[np.float32]:
        """The pretrained layers' means of N texts, FP32 [N, width]; before the first step."""
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

    def _scored_before(self, kept: Path | None) -> tuple[int, NDArray[np.float64]]:
        """How far predictions came before they were stopped, and the scores."""
        if kept is None or not kept.is_file():
            return 0, np.full((self.n_models, self.store.n_texts), np.nan)
        saved = torch.load(kept, weights_only=True)
        return int(saved["start"]), saved["scores"].numpy()

    def _slices(self, table: NDArray[np.int64], start: int) -> Iterator[NDArray[np.int64]]:
        """Batches of texts INT64 [K, n] from a table [K, N] whose first columns are the longest."""
        while start < table.shape[1]:
            width = int(self.store.lengths[table[:, start]].max())
            n = max(1, MOST_TOKENS[self.store.device.type] // (self.n_models * width))
            yield table[:, start : start + n]
            start += n

    def _compute_with(self, which: str) -> None:
        for weights in (self.layers, self.head):
            weights.compute_with(weights.average if which == "average" else weights.exact)

    def _save(self, path: Path) -> None:
        _write_whole(path, {"step": self.step, "layers": self.layers.state(), "head": self.head.state()})

    def _restore(self, path: Path) -> None:
        saved: Mapping[str, dict[str, Tensor]] = torch.load(path, map_location="cpu", weights_only=True)
        self.step = int(saved["step"])  # type: ignore[call-overload]
        self.layers.restore(saved["layers"], self.step)
        self.head.restore(saved["head"], self.step)


def _write_whole(path: Path, contents: object) -> None:
    unfinished = path.with_suffix(".unfinished")
    torch.save(contents, unfinished)
    unfinished.replace(path)
