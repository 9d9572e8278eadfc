"""The quote decision: quotes per second of each quoter, cost per event of each estimator, the whole pass, its memory.

The whole pass is everything a desk does with a change of the top of the book, without the engine around it: fair value,
estimators, depths, ticks, minimum spread, clamp, sizes, throttle and the bookkeeping of orders.
"""

import argparse
import itertools
import json
import math
import resource
import statistics
import sys
import time
import tracemalloc
from collections.abc import Callable, Iterator
from decimal import Decimal
from random import Random
from types import SimpleNamespace
from typing import Any

from nautilus_trader.model import OrderSide

from ufos_nautilus.pricing.avellaneda_stoikov import AvellanedaStoikov, SymmetricQuoter
from ufos_nautilus.pricing.cartea_jaimungal import CarteaJaimungal, CarteaJaimungalParams
from ufos_nautilus.pricing.defence import LeaderWatch, SpreadWatch
from ufos_nautilus.pricing.exposure import QuoteExposure
from ufos_nautilus.pricing.fair_value import weighted_mid
from ufos_nautilus.pricing.glft import Glft, GlftClosedForm, GlftParams
from ufos_nautilus.pricing.glft_exact import GlftExact
from ufos_nautilus.pricing.intensity import IntensityEstimator
from ufos_nautilus.pricing.microprice import MicroPrice
from ufos_nautilus.pricing.order_flow import OrderFlowImbalance, Vpin
from ufos_nautilus.pricing.quoting import clamp_post_only, round_outward, widen_to_minimum
from ufos_nautilus.pricing.volatility import EwmaVolatility
from ufos_strategies.desk.config import MarketMakerConfig
from ufos_strategies.desk.estimation import IntensityLearner
from ufos_strategies.desk.ladder import Ladder
from ufos_strategies.desk.model import DeskModel
from ufos_strategies.desk.modes import Mode, rooms
from ufos_strategies.desk.presence import Presence

DECISION_US_MAX = 15.0
"""What a whole pass may cost."""
GROWTH_BYTES_MAX = 1_000_000
"""Growth of memory over all events that counts as none."""
EVENT_NS = 50_000_000
K, A, GAMMA, SIGMA, BOUND = 0.2, 1.0, 0.02, 2.0, 10


def rate(call: Callable[[int], Any], seconds: float) -> float:
    """Return calls per second, best of three runs of about this long in all."""
    count = 1_000
    while True:
        started = time.process_time()
        for i in range(count):
            call(i)
        elapsed = time.process_time() - started
        if elapsed > seconds / 4:
            break
        count *= 4
    best = elapsed / count
    for _ in range(2):
        started = time.process_time()
        for i in range(count):
            call(i)
        best = min(best, (time.process_time() - started) / count)
    return 1.0 / best


def quoters() -> dict[str, Any]:
    """Return every quoter at one set of parameters, ticks and orders."""
    params = GlftParams(gamma=GAMMA, k=K, A=A, bound_lots=BOUND)
    running = CarteaJaimungalParams(buy_rate=A, sell_rate=A, kappa=K, phi_per_variance=GAMMA / 2, bound_lots=BOUND)
    return {
        "symmetric": SymmetricQuoter(GAMMA, K, BOUND, 300.0),
        "avellaneda_stoikov": AvellanedaStoikov(GAMMA, K, BOUND),
        "glft_closed_form": GlftClosedForm(params),
        "glft": Glft(params),
        "glft_exact": GlftExact(params, 60.0, SIGMA),
        "cartea_jaimungal": CarteaJaimungal(running),
    }


def quoter_rates(seconds: float) -> dict[str, float]:
    """Return quotes per second of each quoter, and of the vectorised ones over 100,000 markets at once."""
    sigmas = [SIGMA * (0.9 + 0.002 * i) for i in range(100)]
    out = {}
    for name, quoter in quoters().items():
        quote = quoter.quote
        out[name] = rate(lambda i, quote=quote: quote(i % 19 - 9, sigmas[i % 100], 30.0), seconds)
    try:
        import numpy as np
    except ImportError:
        return out
    from ufos_nautilus.research.vector_quoters import avellaneda_stoikov_depths, glft_depths

    rng = np.random.default_rng(1)
    q, sigma = rng.integers(-9, 10, 100_000).astype(float), rng.uniform(1.0, 3.0, 100_000)
    for name, call in (
        ("avellaneda_stoikov_vectorised", lambda: avellaneda_stoikov_depths(q, GAMMA, K, sigma, 30.0)),
        ("glft_closed_form_vectorised", lambda: glft_depths(q, GAMMA, K, A, sigma)),
    ):
        taken = []
        for _ in range(5):
            started = time.process_time()
            call()
            taken.append(time.process_time() - started)
        out[name] = len(q) / min(taken)
    return out


def events(count: int, seed: int = 1) -> list[tuple[float, float, float, float]]:
    """Return tops of a book in ticks: a random walk of a tick at a time, sizes between 1 and 100."""
    rng, mid, out = Random(seed), 100_000, []
    for _ in range(count):
        mid += rng.choice((-1, 0, 0, 0, 0, 0, 0, 1))
        out.append((float(mid), rng.uniform(1, 100), mid + 1.0, rng.uniform(1, 100)))
    return out


def estimator_ns(seconds: float) -> dict[str, float]:
    """Return nanoseconds per event of each estimator."""
    tops = events(4_096)
    volatility, flow, vpin = EwmaVolatility(60.0, sample_s=1.0), OrderFlowImbalance(1.0), Vpin(1_000.0)
    spread, leader = SpreadWatch(60.0), LeaderWatch(5.0, 0.25)
    micro = MicroPrice(1.0, (tuple(0.05 * (i - 4.5) for i in range(10)),) * 2, {})
    exposure = QuoteExposure(IntensityEstimator(A, K, bucket=0.25), 0.125, 100.0)
    clock = itertools.count(EVENT_NS, EVENT_NS)
    calls: dict[str, Callable[[int], Any]] = {
        "weighted_mid": lambda i: weighted_mid(*tops[i & 4095]),
        "microprice": lambda i: micro(*tops[i & 4095]),
        "volatility": lambda i: volatility.update(next(clock), tops[i & 4095][0]),
        "order_flow": lambda i: flow.update(next(clock), *tops[i & 4095]),
        "vpin": lambda i: vpin.update(3.0, bool(i & 1)),
        "spread_watch": lambda i: spread.update(next(clock), 1.0 + (i & 3)),
        "leader_watch": lambda i: leader.update(next(clock), tops[i & 4095][0]),
        "intensity_exposure": lambda i: exposure.at(next(clock), (i & 7) * 0.25),
    }
    empty = 1e9 / rate(lambda i: tops[i & 4095], seconds)
    return {name: 1e9 / rate(call, seconds) - empty for name, call in calls.items()}


class Venue:
    """Stands in for the engine: every command is confirmed at once."""

    instrument_id = "X.SIM"

    def __init__(self) -> None:
        self.ids = itertools.count()
        self.order_factory = SimpleNamespace(limit=lambda *_, **__: SimpleNamespace(client_order_id=next(self.ids)))
        self.sent = 0

    def price_at(self, ticks: int) -> int:
        """Return the ticks."""
        return ticks

    def quantity_of(self, lots: int) -> int:
        """Return the lots."""
        return lots

    def place(self, order: Any) -> None:
        """Count a command."""
        self.sent += 1

    def move(self, client_order_id: Any, price: Any) -> None:
        """Count a command."""
        self.sent += 1

    def withdraw(self, client_order_id: Any) -> None:
        """Count a command."""
        self.sent += 1


class Pass:
    """One pass of the desk's loop per event, with its own parts."""

    def __init__(self, everything: bool) -> None:
        extra: dict[str, Any] = {}
        if everything:
            extra = {
                "flow": {"ticks_per_unit": 0.001},
                "intensity": {"prior_from_market": False},
                "fee_rate": 0.00001,
                "levels": {"count": 3},
                "max_order_age_s": 30.0,
            }
        self.config = MarketMakerConfig(
            instrument_id="X.SIM", order_size=Decimal(1), max_inventory=Decimal(10), gamma=GAMMA, k_per_tick=K,
            a_per_s=A, warmup_s=0.0, **extra,
        )  # fmt: skip
        self.venue, self.model, self.presence = Venue(), DeskModel(self.config, BOUND), Presence()
        self.bids = Ladder(self.venue, OrderSide.BUY, self.config, 1)
        self.asks = Ladder(self.venue, OrderSide.SELL, self.config, 1)
        self.learner = None
        if self.config.intensity is not None:
            self.learner = IntensityLearner(self.model, self.config.intensity, ("B", "I"), None)
            for side in (self.bids, self.asks):
                side.watch(self.learner.estimator, 0.5 * self.learner.bucket_ticks, self.learner.most_ticks)
        self.position = 0

    def __call__(self, now_ns: int, market: tuple[float, float, float, float]) -> None:
        """Take in one top of the book."""
        model = self.model
        fair = model.fair(now_ns, market)
        if self.learner is not None:
            self.learner.refresh(now_ns)
        bid_depth, ask_depth = model.depths(self.position, now_ns)
        fee = self.config.fee_rate * fair
        if fee and bid_depth is not None and ask_depth is not None:
            bid_depth, ask_depth = bid_depth + fee, ask_depth + fee
        best_bid, best_ask = round(market[0]), round(market[2])
        bid, ask = round_outward(fair, bid_depth, ask_depth, 1.0)
        bid, ask = widen_to_minimum(bid, ask, 1)
        bid, ask = clamp_post_only(bid, ask, best_bid, best_ask)
        buy, sell = rooms(Mode.NORMAL, self.position, BOUND)
        self.bids.work(bid, min(1, buy), buy, now_ns, fair)
        self.asks.work(ask, min(1, sell), sell, now_ns, fair)
        self.presence.update(now_ns, self.bids.first.price_ticks, self.asks.first.price_ticks, best_bid, best_ask)
        for ladder in (self.bids, self.asks):
            for order in ladder._orders:
                if order.pending:
                    order.pending = False
                    if order.cancelling:
                        order._forget()


def stream(count: int) -> Iterator[tuple[int, tuple[float, float, float, float]]]:
    """Yield `count` events over a fixed set of tops."""
    tops = events(65_536)
    for i in range(count):
        yield (i + 1) * EVENT_NS, tops[i & 65_535]


def decision_us(everything: bool, count: int) -> dict[str, float]:
    """Return the CPU time of a whole pass: mean, median and 99th percentile over batches of 100 events."""
    run, batches, batch = Pass(everything), [], list(stream(count))
    for start in range(0, count, 100):
        part = batch[start : start + 100]
        started = time.process_time_ns()
        for now, market in part:
            run(now, market)
        batches.append((time.process_time_ns() - started) / len(part) / 1e3)
    warm = batches[len(batches) // 10 :]
    return {
        "mean": statistics.fmean(warm),
        "median": statistics.median(warm),
        "p99": statistics.quantiles(warm, n=100)[98],
    }


def growth(count: int) -> dict[str, float]:
    """Return how memory grew after the first tenth of `count` events: Python's own blocks, and the whole process."""
    run = Pass(everything=True)
    first = max(count // 10, 1)
    traced_first, traced_count = min(first, 20_000), min(count, 200_000)
    tracemalloc.start()
    before = 0
    for i, (now, market) in enumerate(stream(traced_count)):
        run(now, market)
        if i == traced_first:
            before = tracemalloc.get_traced_memory()[0]
    traced = tracemalloc.get_traced_memory()[0] - before
    tracemalloc.stop()
    run, resident = Pass(everything=True), 0
    for i, (now, market) in enumerate(stream(count)):
        run(now, market)
        if i == first:
            resident = resident_bytes()
    return {
        "traced_events": traced_count,
        "traced_bytes": traced,
        "events": count,
        "resident_bytes": resident_bytes() - resident,
        "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    }


def resident_bytes() -> int:
    """Return the resident memory of this process."""
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * resource.getpagesize()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", type=int, default=1_000_000, help="events of the memory test")
    parser.add_argument("--decisions", type=int, default=100_000, help="events of the timed pass")
    parser.add_argument("--seconds", type=float, default=0.4, help="time per measured rate")
    parser.add_argument("--require", action="store_true", help="exit 1 above 15 us per decision or where memory grows")
    args = parser.parse_args()
    plain, everything = decision_us(False, args.decisions), decision_us(True, args.decisions)
    grown = growth(args.events)
    figures = {
        "quotes_per_s": {name: round(value) for name, value in quoter_rates(args.seconds).items()},
        "estimator_ns_per_event": {name: round(value) for name, value in estimator_ns(args.seconds).items()},
        "decision_us": {name: round(value, 2) for name, value in plain.items()},
        "decision_us_everything_on": {name: round(value, 2) for name, value in everything.items()},
        "memory": {name: round(value, 1) for name, value in grown.items()},
    }
    print(json.dumps(figures, indent=1))
    bad = plain["median"] > DECISION_US_MAX or everything["median"] > DECISION_US_MAX
    bad |= max(grown["traced_bytes"], grown["resident_bytes"]) > GROWTH_BYTES_MAX or math.isnan(plain["mean"])
    return int(args.require and bad)


if __name__ == "__main__":
    sys.exit(main())
