"""A bound on latency: `p99=150ms` says that 99 of 100 requests are answered within 150 ms."""

import re
from dataclasses import dataclass

_BOUND = re.compile(r"p(\d{1,2}(?:\.\d+)?)=(\d+(?:\.\d+)?)(ms|s)")


@dataclass(frozen=True)
class Slo:
    """A bound.

    Attributes:
        percentile: between 0 and 100, such as 99.
        seconds: what that percentile of latencies may be at most.
    """

    percentile: float
    seconds: float

    @classmethod
    def parse(cls, text: str) -> "Slo":
        """Read `p99=150ms` or `p99.9=1.5s`.

        Raises:
            ValueError: for anything else.
        """
        match = _BOUND.fullmatch(text.strip())
        if match is None or not float(match[1]) or not float(match[2]):
            raise ValueError(f"{text!r} is no bound; write p99=150ms or p95=0.5s")
        return cls(float(match[1]), float(match[2]) / (1000 if match[3] == "ms" else 1))

    @property
    def share(self) -> float:
        """Share of requests that may take longer: 0.01 for p99."""
        return 1 - self.percentile / 100

    def __str__(self) -> str:
        return f"p{self.percentile:g} within {self.seconds * 1000:g} ms"
