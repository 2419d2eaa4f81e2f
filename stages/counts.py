"""What the tokens of a text say of its length and its words: counts that a mean over tokens forgets.

Computed from ids and mask inside the encoder's module, on either device, so that the model takes the same inputs with
and without.
"""

import torch
from tokenizers import Tokenizer
from torch import Tensor, nn

SENTENCE_ENDS = (".", "!", "?", "…")
LETTERS_AT_START = 4
"""Letters of an imagined first word, so that a text without words has finite logarithms."""

MEAN = (3.9, 2.75, 1.45, 0.12)
SCALE = (1.2, 0.6, 0.2, 0.12)
"""Of the four logarithms, about, over texts from one sentence to a passage: constants of the model, not statistics."""

N_COUNTS = len(MEAN)


class TokenCounts(nn.Module):
    """Logarithms, about standardised: words, words a sentence, letters a word, pieces a word; FP32 [B, 4].

    A word starts at a token with a letter or digit that continues no other. A sentence ends at each token of
    `SENTENCE_ENDS`; a text without one is one sentence.

    Args:
        table: FP32 [V, 4] of a vocabulary of V tokens, as `token_table` makes it.
    """

    table: Tensor
    mean: Tensor
    scale: Tensor

    def __init__(self, table: Tensor) -> None:
        super().__init__()
        # Not saved: the tokenizer gives it.
        self.register_buffer("table", table, persistent=False)
        self.register_buffer("mean", torch.tensor(MEAN), persistent=False)
        self.register_buffer("scale", torch.tensor(SCALE), persistent=False)

    def forward(self, ids: Tensor, mask: Tensor) -> Tensor:
        """Counts FP32 [B, 4] of ids and mask, both INT64 [B, L]."""
        totals = (nn.functional.embedding(ids, self.table) * mask[:, :, None]).sum(dim=1)
        letters, words, ends, pieces = totals.unbind(dim=1)
        words = words + 1
        logarithms = torch.stack(
            [
                words.log(),
                (words / ends.clamp(min=1)).log(),
                ((letters + LETTERS_AT_START) / words).log(),
                ((pieces + 1) / words).log(),
            ],
            dim=1,
        )
        return (logarithms - self.mean) / self.scale


def token_table(tokenizer: Tokenizer, size: int) -> Tensor:
    """Of each token, FP32 [size, 4]: letters and digits; whether it starts a word, ends a sentence, is part of a word.

    Args:
        tokenizer: WordPiece, whose pieces inside a word begin with ``##``.
        size: rows, at least the tokenizer's vocabulary; rows without a token are zero, and so are special tokens.
    """
    table = torch.zeros(size, N_COUNTS)
    special = {token.content for token in tokenizer.get_added_tokens_decoder().values()}
    for token, number in tokenizer.get_vocab().items():
        inside = token.startswith("##")
        letters = sum(character.isalnum() for character in token.removeprefix("##"))
        if token == "[UNK]":  # noqa: S105  a word that the vocabulary cannot spell
            table[number] = torch.tensor([5.0, 1.0, 0.0, 1.0])
        elif token not in special:
            in_word = float(letters > 0)
            starts = in_word if not inside else 0.0
            table[number] = torch.tensor([float(letters), starts, float(token in SENTENCE_ENDS), in_word])
    return table


class CountsHead(nn.Module):
    """What counts add to the linear layer's score: a small layer over means and counts together.

    Their effect may so fade with length and differ between kinds of text. It starts from nothing: the last weights are
    zero.

    Args:
        width: of the means.
        hidden: of the small layer.
    """

    def __init__(self, width: int, hidden: int = 64) -> None:
        super().__init__()
        self.direct = nn.Linear(N_COUNTS, 1, bias=False)
        self.means = nn.Linear(width, hidden)
        self.counts = nn.Linear(N_COUNTS, hidden, bias=False)
        self.out = nn.Linear(hidden, 1, bias=False)
        nn.init.zeros_(self.direct.weight)
        nn.init.zeros_(self.out.weight)

    def forward(self, means: Tensor, counts: Tensor) -> Tensor:
        """FP32 [B, 1] of means FP32 [B, width] and counts FP32 [B, 4]."""
        hidden = nn.functional.gelu(self.means(means) + self.counts(counts))
        return self.direct(counts) + self.out(hidden)
