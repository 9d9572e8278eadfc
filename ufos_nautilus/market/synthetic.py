"""A generated market with one instrument: the world of the market-making papers, as a recording.

The mid S is an arithmetic Brownian motion, moved at every book update and constant in between. Market buys and sells
arrive as two Poisson processes of rate A; each reaches a depth D from the mid that is exponential with mean 1/k and
prints one trade at the deepest grid price within reach. An order resting at depth d is therefore reached (its price
is printed or traded through) with intensity A exp(-k d), whatever its depth; the law holds for every price of the
grid, those inside a wide displayed spread included. The displayed book is replenished at once, so a market order
moves nothing but, where `impact` is set, the mid. Sizes at the touch make the imbalance-weighted mid equal to S up
to whole lots.
"""

import math
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from random import Random
from typing import Any, Final

from ufos_nautilus.limits import SYNTHETIC_BATCH_ROWS
from ufos_nautilus.market.instruments import InstrumentSpec
from ufos_nautilus.market.recording import Batch, Recording
from ufos_nautilus.market.synthetic_checks import check_events, check_fields, decimals_of, refusal, step_of
from ufos_nautilus.market.synthetic_tables import (
    F_LAST,
    F_SNAPSHOT,
    DeltaColumns,
    QuoteColumns,
    TradeColumns,
    standard_normal,
    stream,
)

OWNER: Final = "synthetic market"
START_NS: Final = 1_767_623_400_000_000_000
"""Monday 2026-01-05 14:30 UTC, where generated markets start unless told otherwise."""
SAFE_DEVIATIONS: Final = 10.0
"""The mid must be this many standard deviations of its last value above the lowest displayed price."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SingleMarketParams:
    """Parameters of `generate_single`.

    Parameters
    ----------
    instrument_id : str
        Symbol and venue.
    seed : int
        Everything random follows from it.
    start_ns : int
        Time of the first book, UNIX nanoseconds.
    duration_s, book_interval_s : float
        Length and time between book updates, seconds.
    mid : float
        First mid, price units.
    tick_size, lot_size : str
        Decimal text.
    sigma : float
        Volatility of the mid, price units per square root of a second.
    A : float
        Rate of market orders per side, per second.
    k : float
        Decay of the reach of market orders, per price unit.
    impact : float
        Move of the mid in the direction of each market order, price units.
    levels : int
        Displayed levels per side.
    spread_ticks : int
        Displayed spread.
    level_lots : int
        Mean size of a level, lots.
    trade_lots_min, trade_lots_mean : int, float
        Smallest and mean size of a market order, lots.

    """

    instrument_id: str = "SIM-PERP.SIM"
    seed: int = 1
    start_ns: int = START_NS
    duration_s: float = 600.0
    book_interval_s: float = 0.1
    mid: float = 100.0
    tick_size: str = "0.01"
    lot_size: str = "0.01"
    sigma: float = 0.02
    A: float = 1.0
    k: float = 20.0
    impact: float = 0.0
    levels: int = 10
    spread_ticks: int = 1
    level_lots: int = 500
    trade_lots_min: int = 100
    trade_lots_mean: float = 150.0

    def __post_init__(self) -> None:
        check_fields(
            OWNER,
            self,
            positive=("duration_s", "book_interval_s", "mid", "k", "trade_lots_mean"),
            not_negative=("sigma", "A", "impact"),
            counts=("levels", "spread_ticks", "level_lots", "trade_lots_min", "start_ns"),
        )
        if self.book_interval_s < 1e-6:
            raise refusal(OWNER, "book_interval_s", self.book_interval_s, "a microsecond or more")
        if not self.trade_lots_min <= self.trade_lots_mean < math.inf:
            raise refusal(OWNER, "trade_lots_mean", self.trade_lots_mean, "at least trade_lots_min")
        check_events(OWNER, self.updates + 2.0 * self.A * self.duration_s)
        self.instrument()
        tick = float(step_of(OWNER, "tick_size", self.tick_size))
        variance = (self.sigma**2 + 2.0 * self.A * self.impact**2) * self.duration_s
        lowest = (self.levels + self.spread_ticks + 1) * tick + SAFE_DEVIATIONS * math.sqrt(variance)
        if self.mid <= lowest:
            raise refusal(OWNER, "mid", self.mid, f"above {lowest:.6g}, so that no displayed price reaches zero")

    @property
    def updates(self) -> int:
        """Number of book updates, the first picture included."""
        return math.floor(self.duration_s / self.book_interval_s + 1e-6) + 1

    def instrument(self) -> InstrumentSpec:
        """Return the instrument these parameters describe: a linear perpetual paid in USDT."""
        tick, lot = step_of(OWNER, "tick_size", self.tick_size), step_of(OWNER, "lot_size", self.lot_size)
        return InstrumentSpec(
            instrument_id=self.instrument_id,
            kind="crypto_perpetual",
            base=self.instrument_id.partition("-")[0].partition(".")[0],
            quote="USDT",
            settlement="USDT",
            tick_size=tick,
            lot_size=lot,
            price_precision=decimals_of(tick),
            size_precision=decimals_of(lot),
        )


class _Book:
    """The displayed book, and the deltas that take it from one picture to the next."""

    __slots__ = ("asks", "best", "bids", "deltas", "p", "quotes", "rng", "sequence")

    def __init__(self, p: SingleMarketParams, rng: Random) -> None:
        self.p = p
        self.rng = rng
        self.bids: dict[int, int] = {}
        self.asks: dict[int, int] = {}
        self.best = (0, 0, 0, 0)
        self.sequence = 0
        self.deltas = DeltaColumns()
        self.quotes = QuoteColumns()

    def _side(self, ts: int, side: str, sizes: dict[int, int], best: int, step: int, touch_lots: int) -> None:
        """Move one side so that its levels run from `best` away from the mid in direction `step`."""
        add, sequence, random = self.deltas.add, self.sequence, self.rng.random
        flags = F_SNAPSHOT if sequence == 1 else 0
        level_lots = self.p.level_lots
        wanted = range(best, best + step * self.p.levels, step)
        for price in [price for price in sizes if price not in wanted]:
            del sizes[price]
            add(ts, "DELETE", side, price, 0, 0, sequence)
        for price in wanted:
            if price not in sizes and price != best:
                sizes[price] = size = 1 + int(level_lots * (0.5 + random()))
                add(ts, "ADD", side, price, size, flags, sequence)
        if len(wanted) > 1 and not flags:
            price = wanted[1 + int(random() * (len(wanted) - 1))]
            size = 1 + int(level_lots * (0.5 + random()))
            if size != sizes[price]:
                sizes[price] = size
                add(ts, "UPDATE", side, price, size, flags, sequence)
        known = sizes.get(best)
        if known != touch_lots:
            sizes[best] = touch_lots
            add(ts, "ADD" if known is None else "UPDATE", side, best, touch_lots, flags, sequence)

    def show(self, ts: int, mid_ticks: float) -> None:
        """Record the deltas, and the quote where the touch changed, that make the book show this mid."""
        spread = self.p.spread_ticks
        bid = math.floor(mid_ticks - 0.5 * (spread - 1))
        imbalance = (mid_ticks - bid) / spread
        lots = 2.0 * self.p.level_lots * (0.5 + self.rng.random())
        bid_lots = max(1, round(lots * imbalance))
        ask_lots = max(1, round(lots * (1.0 - imbalance)))
        rows = len(self.deltas.ts)
        self.sequence += 1
        if bid <= self.best[0]:  # the side that gives way goes first, so that no step of the event crosses
            self._side(ts, "BUY", self.bids, bid, -1, bid_lots)
            self._side(ts, "SELL", self.asks, bid + spread, 1, ask_lots)
        else:
            self._side(ts, "SELL", self.asks, bid + spread, 1, ask_lots)
            self._side(ts, "BUY", self.bids, bid, -1, bid_lots)
        if len(self.deltas.ts) > rows:
            self.deltas.flags[-1] |= F_LAST
        best = (bid, bid + spread, bid_lots, ask_lots)
        if best != self.best:
            self.best = best
            self.quotes.add(ts, *best)

    def take(self) -> tuple[DeltaColumns, QuoteColumns]:
        """Return what was gathered and start afresh."""
        taken = self.deltas, self.quotes
        self.deltas, self.quotes = DeltaColumns(), QuoteColumns()
        return taken


def brownian_moves(p: SingleMarketParams) -> Iterator[float]:
    """Yield the moves of the mid from one book update to the next, price units."""
    rng = stream(p.seed, p.instrument_id, "mid")
    deviation = p.sigma * math.sqrt(p.book_interval_s)
    while True:
        yield standard_normal(rng) * deviation


def market_batches(
    p: SingleMarketParams, spec: InstrumentSpec, facts: dict[str, Any], moves: Iterator[float]
) -> Iterator[Batch]:
    """Yield batches of all three tables, each covering the same stretch of time, for a mid that takes these moves."""
    flow = stream(p.seed, p.instrument_id, "flow")
    book = _Book(p, stream(p.seed, p.instrument_id, "book"))
    trades = TradeColumns()
    tick = float(spec.tick_size)
    interval_ns = round(p.book_interval_s * 1e9)
    pace = 1e9 / (2.0 * p.A) if p.A > 0.0 else math.inf
    reach = 1.0 / (p.k * tick)
    impact = p.impact / tick
    extra_lots = p.trade_lots_mean - p.trade_lots_min
    random, log = flow.random, math.log
    x, pushed = p.mid / tick, 0.0
    arrival = -log(1.0 - random()) * pace  # nanoseconds since the start, which a float holds exactly enough
    for i in range(p.updates):
        now = p.start_ns + i * interval_ns
        if i:
            x += next(moves) / tick + pushed
            pushed = 0.0
        book.show(now, x)
        following = (i + 1) * interval_ns
        while arrival < following:
            depth = -log(1.0 - random()) * reach
            buy = random() < 0.5
            size = p.trade_lots_min + int(0.5 - log(1.0 - random()) * extra_lots)
            price = math.floor(x + depth) if buy else math.ceil(x - depth)
            if price > x if buy else price < x:
                ts = p.start_ns + min(max(int(arrival), i * interval_ns + 1), following - 1)
                trades.add(ts, max(price, 1), size, "BUY" if buy else "SELL")
            pushed += impact if buy else -impact
            arrival -= log(1.0 - random()) * pace
        if len(book.deltas.ts) >= SYNTHETIC_BATCH_ROWS or len(trades.ts) >= SYNTHETIC_BATCH_ROWS:
            yield from _flush(spec, book, trades, facts)
            trades = TradeColumns(trades.next_id)
    yield from _flush(spec, book, trades, facts)


def _flush(spec: InstrumentSpec, book: _Book, trades: TradeColumns, facts: dict[str, Any]) -> Iterator[Batch]:
    deltas, quotes = book.take()
    for columns in (deltas, quotes, trades):
        if columns.ts:
            batch = columns.batch(spec)
            facts[batch.kind] = facts.get(batch.kind, 0) + batch.frame.height
            yield batch


def generate_single(params: SingleMarketParams) -> Recording:
    """Return a generated market with one instrument: book deltas, quotes and trades.

    The same parameters give the same rows on every run; the mid, the flow and the sizes have random streams of
    their own, so that another `A` leaves the path of the mid as it was.

    Parameters
    ----------
    params : SingleMarketParams
        What to generate.

    Returns
    -------
    Recording
        Its `facts` hold the parameters at once and the row counts when the batches are exhausted.

    """
    spec = params.instrument()
    facts: dict[str, Any] = {"generator": "single", "params": asdict(params)}
    return Recording([spec], market_batches(params, spec, facts, brownian_moves(params)), [], facts)
