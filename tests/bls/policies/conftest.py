"""Three rows with weights to choose, whose scores are 6, 8, 4 by bert and 65, 84, 82 by cuml."""

from collections.abc import Callable

import numpy as np
import pytest

from readability_triton.bls.batch import Batch

EXCERPTS = np.array([[b"A hen."], [b"The sea."], [b"Rain"]], dtype=object)


@pytest.fixture
def batch_of() -> Callable[..., Batch]:
    def make(*weights: float, waited_s: float = 0.0) -> Batch:
        return Batch(EXCERPTS, np.array(weights, np.float32)[:, None], waited_s)

    return make
