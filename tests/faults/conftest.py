"""A truth table without any model."""

import numpy as np
import pytest

from readability_triton.faults.truth import Truth


@pytest.fixture
def truth() -> Truth:
    bert = np.array([1.0, -2.0, 0.5], dtype=np.float32)
    cuml = np.array([0.0, -1.0, 3.0], dtype=np.float32)
    return Truth(["one", "two", "three"], bert, cuml)
