"""Linear layers in FP8: weights and what goes into them in eight bits, products summed in FP32."""

import torch
from torch import Tensor, nn

FP8 = torch.float8_e4m3fn
"""Four bits of exponent, three of mantissa, up to 448: Micikevicius et al., FP8 Formats for Deep Learning (2022)."""
LARGEST = torch.finfo(FP8).max


class Fp8Linear(nn.Module):
    """What `linear` computes, rounded to FP8.

    Weights have one scale for each output, activations one for each token, set anew each time: what a token becomes
    does not depend on what it is batched with. Needs a GPU of compute capability 8.9 or more (Ada, Hopper), or a CPU;
    both widths must be multiples of 16.

    Args:
        linear: with a bias; left as it is.
    """

    weights: Tensor
    scale: Tensor
    bias: Tensor

    def __init__(self, linear: nn.Linear) -> None:
        super().__init__()
        weights, scale = _rounded(linear.weight.detach().float())
        self.register_buffer("weights", weights)
        self.register_buffer("scale", scale.t().contiguous())
        self.register_buffer("bias", linear.bias.detach().to(torch.bfloat16))

    def forward(self, values: Tensor) -> Tensor:
        """BF16 [..., inputs] to BF16 [..., outputs]."""
        rounded, scale = _rounded(values.flatten(0, -2).float())
        products: Tensor = _products(rounded, self.weights, scale, self.scale, self.bias)
        return products.unflatten(0, values.shape[:-1])


@torch.jit.script
def _products(rounded: Tensor, weights: Tensor, scale: Tensor, scale_of_weights: Tensor, bias: Tensor) -> Tensor:
    """A script, since a trace would keep one device's way. With oneDNN, a CPU's `_scaled_mm` refuses scales by row."""
    if rounded.is_cuda:
        return torch._scaled_mm(rounded, weights.t(), scale, scale_of_weights, bias=bias, out_dtype=torch.bfloat16)
    return ((rounded.float() @ weights.float().t()) * scale * scale_of_weights + bias).to(torch.bfloat16)


def _rounded(rows: Tensor) -> tuple[Tensor, Tensor]:
    """Each row in FP8, and what to multiply it by: FP8 [N, K] and FP32 [N, 1]."""
    scale = rows.abs().amax(1, keepdim=True).clamp(min=1e-12) / LARGEST
    return (rows / scale).to(FP8), scale


def put_fp8(module: nn.Module) -> None:
    """Replace every linear layer within `module`."""
    for name, child in list(module.named_children()):
        if isinstance(child, nn.Linear):
            setattr(module, name, Fp8Linear(child))
        else:
            put_fp8(child)
