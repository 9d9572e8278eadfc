"""Keeps the desk's fill intensity up to date, from a first belief to what its own quotes met."""

from collections.abc import Callable
from typing import Any, Final

from ufos_nautilus.errors import UfosError
from ufos_nautilus.pricing.intensity import IntensityEstimator, depth_growth, intensity_from_market, tail_index
from ufos_nautilus.pricing.volatility import EstimatorState
from ufos_strategies.desk.model import DeskModel
from ufos_strategies.desk.parts import IntensityPart

NS_PER_S: Final = 1_000_000_000
SIZES_KEPT: Final = 2_000
"""Sizes of trades kept for the first belief."""
PRIOR_TRADES: Final = 50
LEVELS_READ: Final = 20
BUCKETS_EACH_SIDE: Final = 400
"""Depth buckets either side of fair value; deeper quotes count as the last."""
FACTOR_MOST: Final = 100.0
"""A or k this many times the configured value are not believed."""

Log = Callable[[tuple[Any, ...]], None]


class IntensityLearner:
    """Estimates A and k online and hands them to the model; every estimate is written down with its state.

    Parameters
    ----------
    model : DeskModel
        Takes the estimates.
    part : IntensityPart
        How to estimate.
    names : tuple of str
        Book and instrument, for the table of estimates.
    log : callable or None
        Takes rows of table `estimates`.

    """

    def __init__(self, model: DeskModel, part: IntensityPart, names: tuple[str, str], log: Log | None) -> None:
        self.model, self.part, self._names, self._log = model, part, names, log
        self.estimator = self._made(model.a_per_s, model.k_per_tick)
        self.state = EstimatorState.WARMING_UP
        self.source = "config"
        """Where the first belief comes from."""
        self.rejected = 0
        """Estimates not believed."""
        self._sizes: list[float] = []
        self._first_ns = self._last_ns = self._order_ns = -1
        self._next_ns = 0

    def _made(self, a_per_s: float, k_per_tick: float) -> IntensityEstimator:
        return IntensityEstimator(
            a_per_s,
            k_per_tick,
            prior_fills=self.part.prior_fills,
            bucket=self.bucket_ticks,
            half_life_s=self.part.half_life_s,
            ready_fills=self.part.ready_fills,
        )

    @property
    def bucket_ticks(self) -> float:
        """Return the width of a depth bucket: a small share of the depth at which fills die away."""
        return max(0.25, 0.05 / self.model.config.k_per_tick)

    @property
    def most_ticks(self) -> float:
        """Return the depth beyond which quotes are not told apart."""
        return self.bucket_ticks * BUCKETS_EACH_SIDE

    def on_trade(self, ts_ns: int, size: float) -> None:
        """Take in a trade of the market, for the first belief; prints at one instant are one market order."""
        if len(self._sizes) >= SIZES_KEPT:
            return
        if self._first_ns < 0:
            self._first_ns = ts_ns
        if ts_ns == self._order_ns:
            self._sizes[-1] += size
        else:
            self._sizes.append(size)
        self._order_ns = self._last_ns = ts_ns

    def believe_market(self, ts_ns: int, book: Any, ticks_per_unit: float) -> bool:
        """Replace the first belief by what trades and the book say; tell whether they said anything.

        Parameters
        ----------
        ts_ns : int
            UNIX nanoseconds.
        book : OrderBook or None
            The engine's, read once.
        ticks_per_unit : float
            1 / tick.

        """
        seconds = (self._last_ns - self._first_ns) / NS_PER_S
        if book is None or len(self._sizes) < PRIOR_TRADES or seconds <= 0.0:
            return False
        try:
            depths, cumulative = _profile(book, ticks_per_unit)
            v0, growth = depth_growth(depths, cumulative)
            smallest = sorted(self._sizes)[len(self._sizes) // 2]
            rate = len(self._sizes) / seconds / 2.0
            A, k = intensity_from_market(rate, tail_index(self._sizes, smallest), smallest, v0, growth)
        except UfosError:
            return False
        self._sizes.clear()
        if not self._plausible(A, k):
            return False
        self.source = "market"
        self.estimator = self._made(A, k)
        self._use(ts_ns, A, k, 0.0, 0.0)
        return True

    def refresh(self, now_ns: int) -> None:
        """Estimate anew where it is time."""
        if now_ns < self._next_ns:
            return
        self._next_ns = now_ns + int(self.part.refresh_s * NS_PER_S)
        self.state = self.estimator.state(now_ns)
        found = self.estimator.estimate(now_ns)
        if self._plausible(found.A, found.k):
            self._use(now_ns, found.A, found.k, found.A_error, found.k_error)
        else:
            self.rejected += 1

    def figures(self) -> dict[str, Any]:
        """Return the estimates in use, for the run's result."""
        return {
            "a_per_s": round(self.model.a_per_s, 9),
            "k_per_tick": round(self.model.k_per_tick, 9),
            "intensity_state": str(self.state),
            "intensity_prior": self.source,
            "intensity_rejected": self.rejected,
        }

    def _plausible(self, A: float, k: float) -> bool:
        p = self.model.config
        pairs = ((A, p.a_per_s), (k, p.k_per_tick))
        return all(base / FACTOR_MOST <= value <= base * FACTOR_MOST for value, base in pairs)

    def _use(self, now_ns: int, A: float, k: float, A_error: float, k_error: float) -> None:
        model, least = self.model, self.part.least_change
        if abs(A / model.a_per_s - 1.0) > least or abs(k / model.k_per_tick - 1.0) > least:
            model.set_intensity(A, k)
        if self._log is not None:
            rows = (("A", A, A_error), ("k", k, k_error), ("sigma", model.volatility.sigma, 0.0))
            for name, value, error in rows:
                state = model.volatility.state(now_ns) if name == "sigma" else self.state
                self._log((now_ns, *self._names, name, value, error, str(state)))


def _profile(book: Any, ticks_per_unit: float) -> tuple[list[float], list[float]]:
    """Return depths from the mid (ticks) and the mean cumulative size of both sides up to them."""
    bids, asks = book.bids(LEVELS_READ), book.asks(LEVELS_READ)
    depths, cumulative = [], []
    total = 0.0
    for bid, ask in zip(bids, asks, strict=False):
        total += 0.5 * (float(bid.size()) + float(ask.size()))
        depths.append(0.5 * (float(ask.price) - float(bid.price)) * ticks_per_unit)
        cumulative.append(total)
    return depths, cumulative
