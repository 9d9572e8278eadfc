"""What a desk defends itself with: a leader that moves first, a spread out of the ordinary, toxic flow."""

import math
from collections import deque
from typing import Final, NamedTuple

from ufos_nautilus.errors import SpecError
from ufos_nautilus.limits import LEADER_PRICES_MAX
from ufos_nautilus.pricing.quoter import check_not_negative, check_positive

NS: Final = 1e-9
BPS: Final = 1e4


class LeaderWatch:
    """Tells when a leading market has moved far enough, fast enough.

    The move is from the price one window ago to now. After a signal it starts anew, so that one move is told once.

    Parameters
    ----------
    threshold_bps : float
        Smallest move that counts, basis points.
    window_s : float
        Time it may take, seconds.

    Raises
    ------
    SpecError
        When a parameter is not positive.

    """

    __slots__ = ("_prices", "_threshold", "_window_ns")

    def __init__(self, threshold_bps: float, window_s: float) -> None:
        check_positive("leader watch", threshold_bps=threshold_bps, window_s=window_s)
        self._threshold = threshold_bps / BPS
        self._window_ns = round(window_s / NS)
        self._prices: deque[tuple[int, float]] = deque()

    def update(self, ts_ns: int, price: float) -> float:
        """Take in a price and return the move in basis points where it is a signal, else 0.

        Parameters
        ----------
        ts_ns : int
            UNIX nanoseconds, not before the last.
        price : float
            Above zero.

        """
        prices = self._prices
        if prices and price == prices[-1][1]:
            return 0.0
        prices.append((ts_ns, price))
        oldest = ts_ns - self._window_ns
        while len(prices) > 1 and prices[1][0] <= oldest:  # the first is the price that held when the window began
            prices.popleft()
        if len(prices) > LEADER_PRICES_MAX:
            prices.popleft()
        move = price / prices[0][1] - 1.0
        if -self._threshold < move < self._threshold:
            return 0.0
        prices.clear()
        prices.append((ts_ns, price))
        return move * BPS


class Unusual(NamedTuple):
    """A value far from what is usual."""

    value: float
    mean: float
    deviation: float

    @property
    def sigmas(self) -> float:
        """Return the distance from the mean in deviations."""
        return (self.value - self.mean) / self.deviation


class SpreadWatch:
    """Tells when a spread is further above its decaying mean than so many deviations.

    Mean and variance are weighted by time and leave the value that is judged out, so that a jump is not its own norm.
    An unusual spread is told once; the next is told after it has been usual again.

    Parameters
    ----------
    half_life_s : float
        Seconds after which the past counts half.
    sigmas : float
        Deviations above the mean from which a spread is unusual.
    warmup_s : float
        Seconds before anything is told.
    floor : float
        Smallest deviation assumed, in the spread's unit: a market that always shows one tick has none of its own.

    Raises
    ------
    SpecError
        When a parameter is out of range.

    """

    __slots__ = ("_decay", "_first_ns", "_floor", "_last_ns", "_last_value", "_told", "_warmup_ns", "_weight", "mean",
                 "sigmas", "variance")  # fmt: skip

    def __init__(self, half_life_s: float, sigmas: float = 3.0, *, warmup_s: float = 30.0, floor: float = 0.5) -> None:
        check_positive("spread watch", half_life_s=half_life_s, sigmas=sigmas, floor=floor)
        check_not_negative("spread watch", warmup_s=warmup_s)
        self._decay = -math.log(2.0) / half_life_s * NS
        self._warmup_ns = round(warmup_s / NS)
        self._floor = floor
        self.sigmas = sigmas
        self.mean = self.variance = 0.0
        self._weight = self._last_value = 0.0
        self._first_ns = self._last_ns = -1
        self._told = False

    @property
    def deviation(self) -> float:
        """Return the usual deviation, the floor at least."""
        return max(math.sqrt(self.variance), self._floor)

    def update(self, ts_ns: int, spread: float) -> Unusual | None:
        """Take in the spread from now on and return it where it is unusual.

        Parameters
        ----------
        ts_ns : int
            UNIX nanoseconds, not before the last.
        spread : float
            Any unit, the same each time.

        """
        if self._last_ns < 0:
            self._first_ns = self._last_ns = ts_ns
            self._last_value = self.mean = spread
            return None
        elapsed = ts_ns - self._last_ns
        if elapsed > 0:  # what stood until now enters the mean with the time it stood
            decay = math.exp(self._decay * elapsed)
            total = self._weight * decay + (1.0 - decay)
            share = (1.0 - decay) / total
            off = self._last_value - self.mean
            self.mean += share * off
            self.variance = (1.0 - share) * (self.variance + share * off * off)
            self._weight = total
        self._last_ns, self._last_value = ts_ns, spread
        deviation = self.deviation
        if spread - self.mean <= self.sigmas * deviation:
            self._told = False
            return None
        if self._told or ts_ns - self._first_ns < self._warmup_ns:
            return None
        self._told = True
        return Unusual(spread, self.mean, deviation)


class ToxicityWidening:
    """Turns a toxicity between 0 and 1 into extra impact for the quoter, in steps so that models can be kept.

    Below the threshold nothing is added; from there to 1 it rises in a line to the most.

    Parameters
    ----------
    threshold : float
        Toxicity from which it widens, 0 to 1.
    most : float
        Impact added at toxicity 1, price units.
    steps : int
        Values it can take besides zero.

    Raises
    ------
    SpecError
        When a parameter is out of range.

    """

    __slots__ = ("_scale", "_step", "threshold")

    def __init__(self, threshold: float, most: float, steps: int = 8) -> None:
        check_not_negative("toxicity", most=most)
        if not 0.0 <= threshold < 1.0 or not 1 <= steps <= 1_000:
            raise SpecError(f"toxicity: threshold {threshold}, {steps} steps", expected="0 to below 1; 1 to 1,000")
        self.threshold = threshold
        self._step = most / steps
        self._scale = steps / (1.0 - threshold)

    def __call__(self, toxicity: float) -> float:
        """Return the impact to add, price units."""
        over = toxicity - self.threshold
        return self._step * math.ceil(over * self._scale) if over > 0.0 else 0.0
