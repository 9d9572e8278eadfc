"""Fill intensity A exp(-k depth) from one's own quotes, as they live and die: censored Poisson likelihood, online.

A quote that rested at depth d for tau seconds and was filled n times (usually 0 or 1) adds to two sums per depth
bucket; the likelihood needs nothing else. The prior is a handful of imagined fills that agree with prior values, so
that an estimate exists from the first moment and data outweigh it by count.
"""

import math
from dataclasses import dataclass
from typing import Final

from ufos_nautilus.errors import LimitExceededError, SpecError
from ufos_nautilus.limits import INTENSITY_BUCKETS_MAX
from ufos_nautilus.pricing.quoter import check_positive
from ufos_nautilus.pricing.volatility import EstimatorState

PRIOR_POINTS: Final = 4
"""Depths, 0 to 3 times 1/k, over which the imagined fills of the prior are spread."""
K_RANGE: Final = 1e3
"""Largest factor between the estimate of k and its prior."""
RESCALE_AT: Final = 1e100
"""Growing weights stand in for decaying sums; they are scaled back before floats run out."""


@dataclass(frozen=True, slots=True)
class IntensityEstimate:
    """Estimated intensity and how sure it is.

    Parameters
    ----------
    A : float
        Fills per second at zero depth.
    k : float
        Decay per price unit.
    A_error, k_error : float
        Standard errors, from the inverse Fisher information.
    covariance : float
        Of A and k.
    fills, exposure_s : float
        Observed fills and seconds of quoting behind it, after decay, the prior left out.

    """

    A: float
    k: float
    A_error: float
    k_error: float
    covariance: float
    fills: float
    exposure_s: float

    def at(self, depth: float) -> float:
        """Return the fill intensity at a depth in price units, per second."""
        return self.A * math.exp(-self.k * depth)


class IntensityEstimator:
    """Online estimate of A and k.

    Parameters
    ----------
    prior_A, prior_k : float
        What is believed before any data: per second; per price unit.
    prior_fills : float
        How many fills the prior counts for.
    bucket : float
        Width of a depth bucket, price units; a tick or less.
    half_life_s : float
        Seconds after which an observation counts half; infinite keeps all.
    ready_fills : float
        Observed fills (after decay) from which the state is ready.
    stale_after_s : float
        Seconds without an observation after which the state is stale.

    Raises
    ------
    SpecError
        When a parameter is out of range.

    """

    __slots__ = (
        "_bucket",
        "_buckets",
        "_fill_depth",
        "_fills",
        "_half_life_ns",
        "_k",
        "_origin_ns",
        "_prior",
        "_ready_fills",
        "_stale_ns",
        "last_ns",
    )

    def __init__(
        self,
        prior_A: float,
        prior_k: float,
        *,
        prior_fills: float = 10.0,
        bucket: float,
        half_life_s: float = math.inf,
        ready_fills: float = 20.0,
        stale_after_s: float = 600.0,
    ) -> None:
        check_positive(
            "intensity",
            prior_A=prior_A,
            prior_k=prior_k,
            prior_fills=prior_fills,
            bucket=bucket,
            stale_after_s=stale_after_s,
        )
        if not half_life_s > 0.0:
            raise SpecError(f"intensity: half_life_s is {half_life_s}", expected="above zero")
        self._bucket = bucket
        self._half_life_ns = half_life_s * 1e9
        self._ready_fills = ready_fills
        self._stale_ns = round(stale_after_s * 1e9)
        each = prior_fills / PRIOR_POINTS
        depths = [i / prior_k for i in range(PRIOR_POINTS)]
        self._prior = [(d, each / (prior_A * math.exp(-prior_k * d)), each) for d in depths]
        self._buckets: dict[int, list[float]] = {}  # bucket -> weighted exposure, exposure times depth
        self._fills = self._fill_depth = 0.0
        self._k = prior_k
        self._origin_ns = self.last_ns = -1

    def _weight(self, ts_ns: int) -> float:
        """Return the weight of an observation now, relative to one at the origin of time."""
        if self._half_life_ns == math.inf:
            return 1.0
        weight = 2.0 ** min((ts_ns - self._origin_ns) / self._half_life_ns, 1000.0)
        if weight > RESCALE_AT:
            for sums in self._buckets.values():
                sums[0] /= weight
                sums[1] /= weight
            self._fills /= weight
            self._fill_depth /= weight
            self._origin_ns = ts_ns
            return 1.0
        return weight

    def observe(self, ts_ns: int, depth: float, seconds: float, fills: float) -> None:
        """Take in one quote's life, or a stretch of it at one depth.

        Parameters
        ----------
        ts_ns : int
            When it ended, UNIX nanoseconds.
        depth : float
            Distance from fair value, price units.
        seconds : float
            How long it rested there; zero or more.
        fills : float
            How often it was filled: 0 when cancelled or moved, 1 when filled, a share when filled in part.

        Raises
        ------
        SpecError
            When an argument is not a finite number or negative where it can't be.
        LimitExceededError
            When depths spread over more than `limits.INTENSITY_BUCKETS_MAX` buckets.

        """
        if not (0.0 <= seconds < math.inf and 0.0 <= fills < math.inf and -math.inf < depth < math.inf):
            raise SpecError(f"intensity: can't take in depth {depth}, {seconds} s, {fills} fills")
        if self._origin_ns < 0:
            self._origin_ns = ts_ns
        weight = self._weight(ts_ns)
        sums = self._buckets.get(index := math.floor(depth / self._bucket))
        if sums is None:
            if len(self._buckets) >= INTENSITY_BUCKETS_MAX:
                raise LimitExceededError(
                    f"intensity: quotes at more than {INTENSITY_BUCKETS_MAX} depths",
                    expected="depths within a few hundred buckets",
                    next_step="widen the bucket",
                )
            sums = self._buckets[index] = [0.0, 0.0]
        exposure = weight * seconds
        sums[0] += exposure
        sums[1] += exposure * depth
        self._fills += weight * fills
        self._fill_depth += weight * fills * depth
        self.last_ns = ts_ns

    def state(self, now_ns: int) -> EstimatorState:
        """Return what the estimate is worth at `now_ns`."""
        if self.last_ns < 0 or self._fills / self._weight(now_ns) < self._ready_fills:
            return EstimatorState.WARMING_UP
        return EstimatorState.STALE if now_ns - self.last_ns > self._stale_ns else EstimatorState.READY

    def estimate(self, now_ns: int) -> IntensityEstimate:
        """Return the estimate at `now_ns`; a few microseconds per depth bucket, so ask every few seconds.

        Parameters
        ----------
        now_ns : int
            UNIX nanoseconds.

        Returns
        -------
        IntensityEstimate

        """
        scale = 1.0 / self._weight(now_ns) if self.last_ns >= 0 else 1.0
        rows = [(s[1] / s[0], s[0] * scale) for s in self._buckets.values() if s[0] > 0.0]
        observed_s = sum(e for _, e in rows)
        fills, fill_depth = self._fills * scale, self._fill_depth * scale
        total = fills + sum(n for _, _, n in self._prior)
        mean_depth = (fill_depth + sum(n * d for d, _, n in self._prior)) / total
        rows += [(d, e) for d, e, _ in self._prior]
        prior_k = 1.0 / self._prior[1][0]
        self._k = k = _decay_rate(rows, mean_depth, self._k, prior_k / K_RANGE, prior_k * K_RANGE)
        intensity = [e * math.exp(-k * d) for d, e in rows]
        A = total / sum(intensity)
        depth_sum = sum(m * d for m, (d, _) in zip(intensity, rows, strict=True)) * A
        square_sum = sum(m * d * d for m, (d, _) in zip(intensity, rows, strict=True)) * A
        # Fisher information [[N/A^2, -depth_sum/A], [., square_sum]]
        determinant = total / (A * A) * square_sum - (depth_sum / A) ** 2
        return IntensityEstimate(
            A,
            k,
            math.sqrt(square_sum / determinant),
            math.sqrt(total / (A * A) / determinant),
            depth_sum / A / determinant,
            fills,
            observed_s,
        )


def _decay_rate(rows: list[tuple[float, float]], mean_depth: float, start: float, low: float, high: float) -> float:
    """Solve sum(d e exp(-k d)) / sum(e exp(-k d)) = mean depth of fills for k, within [low, high]."""
    shallowest = min(d for d, _ in rows)

    def moments(k: float) -> tuple[float, float]:
        weight = first = second = 0.0
        for d, e in rows:
            w = e * math.exp(-k * (d - shallowest))
            weight += w
            first += w * d
            second += w * d * d
        mean = first / weight
        return mean - mean_depth, second / weight - mean * mean

    k = min(max(start, low), high)
    for _ in range(100):
        excess, variance = moments(k)  # the mean falls as k rises, at the rate of the variance
        if excess > 0.0:
            low = k
        else:
            high = k
        following = k + excess / variance if variance > 0.0 else math.nan
        if not low < following < high:
            following = 0.5 * (low + high)
        if abs(following - k) <= 1e-12 * k:
            return following
        k = following
    return k


def tail_index(sizes: list[float], smallest: float) -> float:
    """Return Hill's estimate of alpha in P(size > x) = (x / smallest)^-alpha from trade sizes of at least `smallest`.

    Raises
    ------
    SpecError
        When fewer than 2 sizes are larger than `smallest`.

    """
    check_positive("tail_index", smallest=smallest)
    logs = [math.log(x / smallest) for x in sizes if x >= smallest]
    if sum(1 for x in logs if x > 0.0) < 2:
        raise SpecError(f"tail_index: fewer than 2 sizes above {smallest}", expected="trade sizes that differ")
    return len(logs) / sum(logs)


def depth_growth(depths: list[float], cumulative: list[float]) -> tuple[float, float]:
    """Return v0 and K of V(d) = v0 exp(K d), regressing the logarithm of cumulative size on depth.

    Parameters
    ----------
    depths, cumulative : list of float
        Distance from the mid (price units) and total size up to it (above zero).

    Raises
    ------
    SpecError
        When there are fewer than 2 different depths or a size is not positive.

    """
    if len(depths) != len(cumulative) or len(set(depths)) < 2 or min(cumulative) <= 0.0:
        raise SpecError(
            "depth_growth: depths and sizes don't make a profile", expected="2 or more depths, sizes above 0"
        )
    logs = [math.log(v) for v in cumulative]
    n = len(depths)
    mean_d, mean_v = math.fsum(depths) / n, math.fsum(logs) / n
    slope = math.fsum((d - mean_d) * (v - mean_v) for d, v in zip(depths, logs, strict=True)) / math.fsum(
        (d - mean_d) ** 2 for d in depths
    )
    return math.exp(mean_v - slope * mean_d), slope


def intensity_from_market(rate: float, alpha: float, smallest: float, v0: float, growth: float) -> tuple[float, float]:
    """Return A and k implied by trade sizes and the depth of the book, for use as a prior.

    A market order of size x reaches the depth at which the book holds x: k = alpha K and A = rate (v0/smallest)^-alpha
    (the paper's equation 2.11, generalised). The slope of the book alone does not identify k.

    Parameters
    ----------
    rate : float
        Market orders per second and side.
    alpha, smallest : float
        From `tail_index`.
    v0, growth : float
        From `depth_growth`.

    Returns
    -------
    tuple of float
        A (per second) and k (per price unit).

    """
    check_positive("intensity_from_market", rate=rate, alpha=alpha, smallest=smallest, v0=v0, growth=growth)
    return rate * max(v0 / smallest, 1.0) ** -alpha, alpha * growth
