"""Choose how many rows may skip the encoder so that a bound on the error holds with confidence.

Learn then test (Angelopoulos, Bates, Candès, Jordan and Lei, 2021): shares are tested one after the other, smallest
first, and the last one before the first failure is returned; each test is at the full level, since the order is fixed.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy import stats


def largest_safe_share(
    expected: NDArray[np.float64],
    quick: NDArray[np.float64],
    full: NDArray[np.float64],
    targets: NDArray[np.float64],
    urls: Sequence[str],
    more: float = 0.01,
    confidence: float = 0.95,
    shares: Sequence[float] = tuple(np.arange(1, 101) / 100),
) -> float:
    """The largest share of rows that may take the quick score, such that the RMSE grows by at most `more`.

    A test asks whether the mean over sources of `quick² - (1 + more)² full²`, errors squared, is below 0, by a
    one-sided t-test; rows of one source count as one.

    Args:
        expected: FP64 [N], how much a row loses by the quick score, out of fold; the least lose first.
        quick: FP64 [N], scores of rows that skip, out of fold.
        full: FP64 [N], scores of rows that do not, out of fold.
        targets: FP64 [N].
        urls: N sources.
        more: what the RMSE may grow by, as a share of it.
        confidence: that the bound holds for new sources alike.
        shares: to test, rising.

    Returns:
        One of `shares`, or 0 if the smallest is not safe.
    """
    _, source = np.unique(urls, return_inverse=True)
    rising = np.argsort(expected, kind="stable")
    safe = 0.0
    for share in shares:
        cascaded = full.copy()
        skipped = rising[: round(share * len(rising))]
        cascaded[skipped] = quick[skipped]
        excess = np.square(cascaded - targets) - (1 + more) ** 2 * np.square(full - targets)
        totals = np.bincount(source, excess)
        spread = totals.std(ddof=1) / np.sqrt(len(totals))
        if totals.mean() + stats.t.ppf(confidence, len(totals) - 1) * spread > 0:
            break
        safe = float(share)
    return safe
