"""What a call of the scorer gives back."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
from numpy.typing import NDArray

Name = TypeVar("Name")

Levels = tuple[str | None, ...]

Flags = tuple[str, ...]
"""What makes a score doubtful, such as `("short", "language:fr")`; empty for most texts."""


@dataclass(frozen=True)
class Details:
    """What only `bls_pipeline` knows of N scores.

    Attributes:
        bert: score of `bert-large`, FP32 [N]; NaN where it was not called, did not answer, or is not reported.
        cuml: the same for `cuml`.
        route: N times the models whose scores went into the text's, such as `bert-large+cuml`.
        degraded: BOOL [N], whether the score is not the requested one.
    """

    bert: NDArray[np.float32]
    cuml: NDArray[np.float32]
    route: tuple[str, ...]
    degraded: NDArray[np.bool_]

    @classmethod
    def unknown(cls, n_texts: int, route: str) -> "Details":
        """For a pipeline that answers with scores only."""
        bert, cuml = np.full((2, n_texts), np.nan, dtype=np.float32)
        return cls(bert, cuml, (route,) * n_texts, np.zeros(n_texts, dtype=np.bool_))

    def spread(self, at: NDArray[np.int64], total: int) -> "Details":
        """These as rows `at` of `total`; the others NaN, without a route and not degraded."""
        spread = Details.unknown(total, "")
        for name in ("bert", "cuml", "degraded"):
            getattr(spread, name)[at] = getattr(self, name)
        return replace(spread, route=_spread_names(self.route, "", at, total))

    @classmethod
    def joined(cls, parts: "Sequence[Details]") -> "Details":
        """The details of several requests, one after the other."""
        empty = cls.unknown(0, "")
        bert, cuml, degraded = (
            np.concatenate([getattr(part, name) for part in (empty, *parts)]) for name in ("bert", "cuml", "degraded")
        )
        return cls(bert, cuml, tuple(route for part in parts for route in part.route), degraded)


@dataclass(frozen=True)
class Scores:
    """Scores of N texts, in the order of the texts.

    Attributes:
        values: FP32 [N], higher is easier; NaN for a row without a text, if `score(missing="nan")` allows such.
        answered_by: N names of the model that answered for each.
        interval: FP32 [N, 2], lower and upper end, which hold the human score of 90 % of texts; NaN where the interval
            is not known: for another `bert_weight` than the fitted one, a degraded answer, one without a model that has
            a share in the blend, a text without a word or longer than any that was calibrated on (215 words), and a
            server whose configuration has no intervals.
        level: N times the nearest CEFR level, such as `B1`; None in the same cases, but for the length. The error of
            a level, in levels, is `ServedModel.level_line.error`: root mean square, on single sentences. It was not
            measured on longer texts.
        details: if requested.
        flags: N times the flags of a text, by policy `guard`; None for a text that nobody checked, as where the
            ensemble answered; None in all where no text was checked.
    """

    values: NDArray[np.float32]
    answered_by: tuple[str, ...]
    interval: NDArray[np.float32]
    level: Levels
    details: Details | None = None
    flags: tuple[Flags | None, ...] | None = None

    @classmethod
    def deferred(
        cls,
        values: NDArray[np.float32],
        answered_by: tuple[str, ...],
        intervals_and_levels: Callable[[], tuple[NDArray[np.float32], Levels]],
        details: Details | None,
        flags: tuple[Flags | None, ...] | None,
    ) -> "Scores":
        """Scores whose intervals and levels are computed when they are first read: a single request takes longer else.

        Args:
            values: FP32 [N].
            answered_by: N names.
            details: if requested.
            flags: N times the flags, or None.
            intervals_and_levels: computes the other two; can be pickled, as `Scores` can.
        """
        scores = cls.__new__(cls)
        vars(scores).update(values=values, answered_by=answered_by, details=details, flags=flags)
        vars(scores)["_intervals_and_levels"] = intervals_and_levels
        return scores

    if not TYPE_CHECKING:  # a checker would take any name for an attribute

        def __getattr__(self, name: str) -> Any:
            """`interval` and `level` of deferred scores, kept once computed."""
            if name not in ("interval", "level") or "_intervals_and_levels" not in vars(self):
                raise AttributeError(f"{type(self).__name__} has no attribute {name!r}")
            interval, level = vars(self)["_intervals_and_levels"]()
            vars(self).update(interval=interval, level=level)
            return vars(self)[name]

    def spread(self, at: NDArray[np.int64], total: int) -> "Scores":
        """These as rows `at` of `total`; the others NaN, without a level and answered by nothing."""
        if len(self.values) == total:
            return self
        values, interval = np.full(total, np.nan, np.float32), np.full((total, 2), np.nan, np.float32)
        values[at], interval[at] = self.values, self.interval
        return replace(
            self,
            values=values,
            interval=interval,
            answered_by=_spread_names(self.answered_by, "", at, total),
            level=_spread_names(self.level, None, at, total),
            details=None if self.details is None else self.details.spread(at, total),
            flags=None if self.flags is None else _spread_names(self.flags, None, at, total),
        )

    @classmethod
    def joined(cls, parts: "Sequence[Scores]") -> "Scores":
        """The scores of several requests, one after the other; their details if all have some."""
        if len(parts) == 1:
            return parts[0]
        no_values, no_intervals = np.empty(0, dtype=np.float32), np.empty((0, 2), dtype=np.float32)
        details = [part.details for part in parts if part.details is not None]
        return cls(
            np.concatenate([no_values, *(part.values for part in parts)]),
            tuple(name for part in parts for name in part.answered_by),
            np.concatenate([no_intervals, *(part.interval for part in parts)]),
            tuple(level for part in parts for level in part.level),
            Details.joined(details) if details and len(details) == len(parts) else None,
            _joined_flags(parts),
        )


def _joined_flags(parts: Sequence[Scores]) -> tuple[Flags | None, ...] | None:
    if all(part.flags is None for part in parts):
        return None
    return tuple(flags for part in parts for flags in part.flags or (None,) * len(part.values))


def _spread_names(names: Sequence[Name], gap: Name, at: NDArray[np.int64], total: int) -> tuple[Name, ...]:
    spread = [gap] * total
    for row, name in zip(at.tolist(), names, strict=True):
        spread[row] = name
    return tuple(spread)
