"""Follows one resting quote and tells the intensity estimator how long it stood at which depth, and what filled."""

from typing import Final

from ufos_nautilus.pricing.intensity import IntensityEstimator

NS: Final = 1e-9


class QuoteExposure:
    """The life of one quote, cut into stretches of nearly constant depth.

    Parameters
    ----------
    estimator : IntensityEstimator
        Takes the stretches.
    step : float
        A depth that has moved this far starts a new stretch, price units.
    most : float
        Depths beyond plus and minus this count as that, price units: so far out nothing fills, so far in everything.

    """

    __slots__ = ("_depth", "_estimator", "_most", "_since_ns", "_step")

    def __init__(self, estimator: IntensityEstimator, step: float, most: float) -> None:
        self._estimator = estimator
        self._step, self._most = step, most
        self._since_ns = -1
        self._depth = 0.0

    def at(self, now_ns: int, depth: float) -> None:
        """Say that the quote stands at a depth (price units from fair value) now; the first call starts its life."""
        depth = self._most if depth > self._most else -self._most if depth < -self._most else depth
        if self._since_ns >= 0:
            if -self._step < depth - self._depth < self._step:
                return
            self._tell(now_ns, 0.0)
        self._since_ns, self._depth = now_ns, depth

    def filled(self, now_ns: int, share: float) -> None:
        """Say that a share of it (0 to 1) was filled; it goes on unless `ended` follows."""
        if self._since_ns >= 0:
            self._tell(now_ns, share)
            self._since_ns = now_ns

    def ended(self, now_ns: int) -> None:
        """Say that it is gone, filled, cancelled or moved; the next `at` starts another life."""
        if self._since_ns >= 0:
            self._tell(now_ns, 0.0)
            self._since_ns = -1

    def _tell(self, now_ns: int, fills: float) -> None:
        seconds = (now_ns - self._since_ns) * NS
        if seconds > 0.0 or fills:
            self._estimator.observe(now_ns, self._depth, max(seconds, 0.0), fills)
