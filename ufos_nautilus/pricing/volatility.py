"""Volatility from prices at irregular times: exponentially weighted, in price units per square root of a second."""

import math
from enum import StrEnum
from typing import Final

from ufos_nautilus.errors import SpecError
from ufos_nautilus.pricing.quoter import check_not_negative, check_positive

NS: Final = 1e-9


class EstimatorState(StrEnum):
    """What an online estimate is worth."""

    WARMING_UP = "warming_up"
    """Too little data so far; the value leans on its prior."""
    READY = "ready"
    STALE = "stale"
    """Data stopped coming; the value is the last one."""


class EwmaVolatility:
    """Square root of (decayed sum of squared moves) / (decayed sum of elapsed seconds).

    A sum of squares over a sum of times needs no regular grid. Moves faster than `sample_s` are taken together,
    which keeps the bounce between bid and ask out of the estimate.

    Parameters
    ----------
    half_life_s : float
        Seconds after which an observation counts half.
    sample_s : float
        Shortest time between two prices that are compared; 0 compares all.
    warmup_s : float
        Seconds of observations before the state is ready.
    stale_after_s : float
        Seconds without a price after which the state is stale.
    gap_s : float
        A pause longer than this (a closed market) contributes neither its move nor its time.
    prior_sigma : float
        Estimate before any data; it fades with the half-life like data does.
    prior_s : float
        Seconds of data the prior weighs as much as.

    Raises
    ------
    SpecError
        When a parameter is out of range.

    """

    __slots__ = (
        "_decay",
        "_gap_ns",
        "_observed_ns",
        "_sample_ns",
        "_stale_ns",
        "_sum_squares",
        "_sum_time",
        "_warmup_ns",
        "last_ns",
        "sample_price",
        "sample_ts_ns",
        "sigma",
    )

    def __init__(
        self,
        half_life_s: float,
        *,
        sample_s: float = 0.0,
        warmup_s: float = 30.0,
        stale_after_s: float = 60.0,
        gap_s: float = 300.0,
        prior_sigma: float = 0.0,
        prior_s: float = 0.0,
    ) -> None:
        check_positive("volatility", half_life_s=half_life_s, stale_after_s=stale_after_s, gap_s=gap_s)
        check_not_negative("volatility", sample_s=sample_s, warmup_s=warmup_s, prior_sigma=prior_sigma, prior_s=prior_s)
        if sample_s >= gap_s:
            raise SpecError(f"volatility: sample_s {sample_s} is not below gap_s {gap_s}")
        self._decay = -math.log(2.0) / half_life_s * NS
        self._sample_ns = max(1, round(sample_s / NS))
        self._warmup_ns = round(warmup_s / NS)
        self._stale_ns = round(stale_after_s / NS)
        self._gap_ns = round(gap_s / NS)
        self._sum_squares = prior_sigma * prior_sigma * prior_s
        self._sum_time = prior_s
        self._observed_ns = 0
        self.sample_ts_ns = self.last_ns = -1
        self.sample_price = 0.0
        self.sigma = prior_sigma

    def update(self, ts_ns: int, price: float) -> None:
        """Take in one price; several at one time count as their last, one before the last sample is ignored.

        Parameters
        ----------
        ts_ns : int
            UNIX nanoseconds.
        price : float
            Price units; mid or fair value.

        """
        elapsed = ts_ns - self.sample_ts_ns
        self.last_ns = ts_ns
        if self.sample_ts_ns < 0 or elapsed > self._gap_ns:
            self.sample_ts_ns, self.sample_price = ts_ns, price
            return
        if elapsed < self._sample_ns:
            return
        move = price - self.sample_price
        weight = math.exp(self._decay * elapsed)
        self._sum_squares = squares = self._sum_squares * weight + move * move
        self._sum_time = time = self._sum_time * weight + elapsed * NS
        self._observed_ns += elapsed
        self.sample_ts_ns, self.sample_price = ts_ns, price
        self.sigma = math.sqrt(squares / time)

    def state(self, now_ns: int) -> EstimatorState:
        """Return what the estimate is worth at `now_ns`."""
        if self._observed_ns < self._warmup_ns or self.sample_ts_ns < 0:
            return EstimatorState.WARMING_UP
        return EstimatorState.STALE if now_ns - self.last_ns > self._stale_ns else EstimatorState.READY
