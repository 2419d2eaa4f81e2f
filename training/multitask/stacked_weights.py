"""The weights of K models, stacked, with AdamW's moments and running averages: one row a model.

Small models leave a GPU waiting for kernels to be launched. K of them in one go launch as many as one does.
"""

from collections.abc import Callable, Mapping

import torch
from torch import Tensor

BETA_1, BETA_2, EPSILON = 0.9, 0.99, 1e-8
SHORTEST_AVERAGE = 10
"""Steps over which the running average opens from the newest weights alone to its full memory."""
_KEPT = ("exact", "average", "first_moment", "second_moment")


class StackedWeights:
    """Named weights of K models in FP32, copies to compute with, and their running averages, which predict.

    Args:
        named: the weights that all models start from.
        n_models: K.
        scale: of each name, what the learning rate is multiplied by.
        decay: of each name, its weight decay (decoupled: Loshchilov and Hutter, 2019).
        averaging: how much of the running average is kept at each step.
        dtype: of the copies to compute with.

    Attributes:
        computed: by name, [K, ...] in `dtype`, views of one row a model; their gradients gather in `gradients`.
        gradients: [K, P] in `dtype`.
    """

    def __init__(
        self,
        named: Mapping[str, Tensor],
        n_models: int,
        scale: Callable[[str], float],
        decay: Callable[[str], float],
        averaging: float,
        dtype: torch.dtype,
    ) -> None:
        self.n_models, self.averaging, self.step = n_models, averaging, 0
        row = torch.cat([weight.detach().float().reshape(-1) for weight in named.values()])
        self.exact = row.repeat(n_models, 1)
        self.average = self.exact.clone()
        self.first_moment, self.second_moment = torch.zeros_like(self.exact), torch.zeros_like(self.exact)
        self._rows = self.exact.to(dtype, copy=True)
        self.gradients = torch.zeros_like(self._rows)
        self._scale, self._decay = (
            torch.cat([torch.full((weight.numel(),), of(name)) for name, weight in named.items()]).to(row.device)
            for of in (scale, decay)
        )
        self._spans: dict[str, tuple[int, int, torch.Size]] = {}
        self.computed: dict[str, Tensor] = {}
        start = 0
        for name, weight in named.items():
            self._spans[name] = (start, start + weight.numel(), weight.shape)
            self.computed[name] = self.view(name, self._rows).detach().requires_grad_()
            self.computed[name].grad = self.view(name, self.gradients)
            start += weight.numel()

    def view(self, name: str, rows: Tensor) -> Tensor:
        """The part of `rows` [K, P] that holds a weight: [K, ...]."""
        start, end, shape = self._spans[name]
        return rows[:, start:end].view(self.n_models, *shape)

    @torch.no_grad()
    def set(self, name: str, model: int, value: Tensor) -> None:
        """Give one model another start."""
        for rows in (self.exact, self.average):
            self.view(name, rows)[model].copy_(value)
        self.compute_with(self.exact)

    @torch.no_grad()
    def squared_gradient_norms(self) -> Tensor:
        """FP32 [K]."""
        return torch.stack([torch.linalg.vector_norm(row.float()) ** 2 for row in self.gradients])

    @torch.no_grad()
    def take_step(self, rates: Tensor, factors: Tensor) -> None:
        """One step of AdamW; the gradients are zero afterwards.

        Args:
            rates: FP32 [K], learning rates.
            factors: FP32 [K], what each model's gradient is multiplied by; 0 leaves its weights to decay alone.
        """
        self.step += 1
        keep = min(self.averaging, self.step / (self.step + SHORTEST_AVERAGE))
        for model in range(self.n_models):  # row by row, so that temporaries stay as small as one model
            gradient = self.gradients[model].float().mul_(factors[model])
            first, second = self.first_moment[model], self.second_moment[model]
            first.lerp_(gradient, 1 - BETA_1)
            second.mul_(BETA_2).addcmul_(gradient, gradient, value=1 - BETA_2)
            change = first / (1 - BETA_1**self.step)
            change.div_((second / (1 - BETA_2**self.step)).sqrt_().add_(EPSILON))
            change.addcmul_(self._decay, self.exact[model]).mul_(self._scale).mul_(rates[model])
            self.exact[model].sub_(change)
            self.average[model].lerp_(self.exact[model], 1 - keep)
        self.gradients.zero_()
        self.compute_with(self.exact)

    @torch.no_grad()
    def compute_with(self, rows: Tensor) -> None:
        """Copy `exact` or `average` to what is computed with."""
        self._rows.copy_(rows)

    def averaged(self, model: int) -> dict[str, Tensor]:
        """One model's running averages by name, FP32 on the host."""
        return {name: self.view(name, self.average)[model].detach().cpu().clone() for name in self._spans}

    def state(self) -> dict[str, Tensor]:
        """All that is needed to go on."""
        return {name: getattr(self, name) for name in _KEPT}

    @torch.no_grad()
    def restore(self, state: Mapping[str, Tensor], step: int) -> None:
        """Go on from what `state` gave after `step` steps."""
        self.step = step
        for name in _KEPT:
            getattr(self, name).copy_(state[name])
        self.compute_with(self.exact)
