"""K copies of one encoder's layers, computed side by side: BERT, or MPNet with its relative positions.

The lowest layers may stay as they are; they are then computed once, with the weights that all copies share.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional
from transformers import PreTrainedModel

MASKED = -3e4
"""Added to products of queries and keys of padding; representable in any type."""

_NAMES = {
    "bert": {
        "query": "attention.self.query",
        "key": "attention.self.key",
        "value": "attention.self.value",
        "attended": "attention.output.dense",
        "attended_norm": "attention.output.LayerNorm",
    },
    "mpnet": {
        "query": "attention.attn.q",
        "key": "attention.attn.k",
        "value": "attention.attn.v",
        "attended": "attention.attn.o",
        "attended_norm": "attention.LayerNorm",
    },
}
_ALL = {"up": "intermediate.dense", "down": "output.dense", "norm": "output.LayerNorm"}
_MATRICES = ("query", "key", "value", "attended", "up", "down")


@dataclass(frozen=True)
class Layers:
    """Which layers are computed and how.

    Attributes:
        last: the highest that is computed.
        frozen: so many of the lowest stay as they are.
        pooled: those whose outputs are averaged over tokens, 1 for the first, rising.
    """

    last: int
    frozen: int
    pooled: tuple[int, ...]

    def __post_init__(self) -> None:
        """Refuse layers that would not be computed or tuned.

        Raises:
            ValueError: if none is pooled, or one above the last or among the frozen ones is.
        """
        if not self.pooled or min(self.pooled) <= self.frozen or max(self.pooled) > self.last:
            raise ValueError(f"layers {self.pooled} must lie above the {self.frozen} frozen ones, {self.last} at most")


class StackedEncoder:
    """The computation; tuned weights are given with each call, `[K, ...]` by the names of `start`.

    Args:
        model: a BERT or an MPNet, whose weights stay as they are.
        layers: which of them to compute.
        device: where.
        dtype: of hidden states and of the frozen weights.

    Raises:
        ValueError: if the model is of another kind or has fewer layers.
    """

    def __init__(self, model: PreTrainedModel, layers: Layers, device: torch.device, dtype: torch.dtype) -> None:
        config = model.config
        if config.model_type not in _NAMES:
            raise ValueError(f"a {config.model_type} cannot be stacked, only {' and '.join(_NAMES)}")
        if layers.last > config.num_hidden_layers:
            raise ValueError(f"the encoder has {config.num_hidden_layers} layers, {layers.last} are asked for")
        self.layers, self.device, self.dtype = layers, device, dtype
        self.hidden, self.heads, self.epsilon = config.hidden_size, config.num_attention_heads, config.layer_norm_eps
        self.width = len(layers.pooled) * self.hidden
        weights = {name: weight.detach() for name, weight in model.state_dict().items()}
        self._names = {**_NAMES[config.model_type], **_ALL}
        self._frozen = [self._layer(weights, number) for number in range(layers.frozen)]
        self._frozen = [{name: weight.to(device, dtype) for name, weight in each.items()} for each in self._frozen]
        self._start = {
            f"{number}.{name}": weight.to(device)
            for number in range(layers.frozen, layers.last)
            for name, weight in self._layer(weights, number).items()
        }
        position = weights["embeddings.position_embeddings.weight"]
        if config.model_type == "mpnet":
            position = position[config.pad_token_id + 1 :]  # positions are counted from after the padding's
        else:
            position = position + weights["embeddings.token_type_embeddings.weight"][:1]
        self._word, self._position = (
            table.to(device, dtype) for table in (weights["embeddings.word_embeddings.weight"], position)
        )
        self._norm_weight = weights["embeddings.LayerNorm.weight"].to(device, dtype)
        self._norm_bias = weights["embeddings.LayerNorm.bias"].to(device, dtype)
        relative = weights.get("encoder.relative_attention_bias.weight")
        self._relative = None if relative is None else relative.to(device, dtype)

    @property
    def start(self) -> dict[str, Tensor]:
        """The pretrained weights of the layers to be tuned, FP32; matrices are [in, out]."""
        return self._start

    def means(self, weights: Mapping[str, Tensor], ids: Tensor, mask: Tensor) -> Tensor:
        """Means over real tokens of the pooled layers, side by side: FP32 [K, B, width].

        Args:
            weights: of the tuned layers, [K, ...] each.
            ids: INT64 [K, B, L].
            mask: BOOL [K, B, L], every row with at least one token.
        """
        n_models, n_rows, length = ids.shape
        rows_mask = mask.reshape(-1, length)
        with torch.no_grad():
            bias = self._attention_bias(rows_mask)
            hidden = self._word[ids.reshape(-1, length)] + self._position[:length]
            hidden = functional.layer_norm(hidden, (self.hidden,), self._norm_weight, self._norm_bias, self.epsilon)
            hidden = hidden.reshape(1, -1, self.hidden)
            for layer in self._frozen:
                hidden = self._computed({name: weight[None] for name, weight in layer.items()}, hidden, bias)
            real, n_tokens = rows_mask[..., None].to(self.dtype), rows_mask.sum(1, keepdim=True).float()
        hidden = hidden.reshape(n_models, n_rows * length, self.hidden)
        pooled = []
        for number in range(self.layers.frozen, self.layers.last):
            prefix = f"{number}."
            layer = {name.removeprefix(prefix): each for name, each in weights.items() if name.startswith(prefix)}
            hidden = self._computed(layer, hidden, bias)
            if number + 1 in self.layers.pooled:
                by_row = hidden.view(-1, length, self.hidden)
                pooled.append((by_row * real).sum(1, dtype=torch.float32) / n_tokens)
        return torch.cat(pooled, dim=1).view(n_models, n_rows, -1)

    def to_layers(self, weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """One model's tuned weights by their names in `stages.encoder.PooledEncoder`, BERT only."""
        named = {}
        for full_name, weight in weights.items():
            number, name, part = full_name.split(".")
            matrix = name in _MATRICES and part == "weight"
            named[f"layers.{number}.{self._names[name]}.{part}"] = (weight.T if matrix else weight).contiguous()
        return named

    def _layer(self, weights: Mapping[str, Tensor], number: int) -> dict[str, Tensor]:
        layer = {}
        for name, full_name in self._names.items():
            for part in ("weight", "bias"):
                weight = weights[f"encoder.layer.{number}.{full_name}.{part}"]
                matrix = name in _MATRICES and part == "weight"
                layer[f"{name}.{part}"] = weight.T.contiguous() if matrix else weight
        return layer

    def _computed(self, layer: Mapping[str, Tensor], hidden: Tensor, bias: Tensor) -> Tensor:
        """One layer of K models on hidden states [K, N, hidden]."""
        attended = self._attended(layer, hidden, bias)
        hidden = self._normed(layer, "attended_norm", hidden + _linear(layer, "attended", attended))
        inner = functional.gelu(_linear(layer, "up", hidden))
        return self._normed(layer, "norm", hidden + _linear(layer, "down", inner))

    def _attended(self, layer: Mapping[str, Tensor], hidden: Tensor, bias: Tensor) -> Tensor:
        n_rows, length = bias.shape[0], bias.shape[-1]
        query, key, value = (
            _linear(layer, name, hidden).view(n_rows, length, self.heads, -1).transpose(1, 2)
            for name in ("query", "key", "value")
        )
        bias = bias.expand(n_rows, self.heads, length, length)
        attended = functional.scaled_dot_product_attention(query, key, value, attn_mask=bias)
        return attended.transpose(1, 2).reshape(hidden.shape)

    def _normed(self, layer: Mapping[str, Tensor], name: str, hidden: Tensor) -> Tensor:
        even = functional.layer_norm(hidden, (self.hidden,), eps=self.epsilon)
        return torch.addcmul(layer[f"{name}.bias"][:, None], even, layer[f"{name}.weight"][:, None])

    def _attention_bias(self, mask: Tensor) -> Tensor:
        """What is added to products of queries and keys: [N, 1 or heads, 1 or L, L] of a mask BOOL [N, L]."""
        padding = torch.zeros(mask.shape, dtype=self.dtype, device=mask.device).masked_fill_(~mask, MASKED)
        padding = padding[:, None, None]
        if self._relative is None:
            return padding
        buckets = _relative_buckets(mask.shape[1], len(self._relative)).to(mask.device)
        return self._relative[buckets].permute(2, 0, 1)[None] + padding


def _linear(layer: Mapping[str, Tensor], name: str, hidden: Tensor) -> Tensor:
    return torch.baddbmm(layer[f"{name}.bias"][:, None], hidden, layer[f"{name}.weight"])


def _relative_buckets(length: int, n_buckets: int, farthest: int = 128) -> Tensor:
    """MPNet's buckets of distances, T5's: INT64 [L, L] of query and key (Raffel et al., 2020)."""
    at = torch.arange(length)
    behind = at[:, None] - at[None]
    n_sided = n_buckets // 2
    exact = n_sided // 2
    distance = behind.abs()
    far = torch.log(distance.clamp(min=1).float() / exact) / math.log(farthest / exact) * (n_sided - exact)
    bucket = torch.where(distance < exact, distance, (exact + far.long()).clamp(max=n_sided - 1))
    return bucket + (behind < 0).long() * n_sided
