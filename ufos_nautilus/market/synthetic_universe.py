"""A generated universe of correlated equities: best bids and offers with sizes, and trades.

Log returns are a market factor, a factor per sector and a part of their own, all normal, drawn once per step. In each
step every instrument quotes once, at a moment of its own; the imbalance of its displayed sizes places the weighted
mid at the true price. Trades come as a Poisson process per instrument and print at the touch or, when they reach
further, behind it.
"""

import math
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from decimal import Decimal
from random import Random
from typing import Any, Final

from ufos_nautilus.errors import LimitExceededError
from ufos_nautilus.limits import SYNTHETIC_BATCH_ROWS, SYNTHETIC_INSTRUMENTS_MAX
from ufos_nautilus.market.instruments import InstrumentSpec
from ufos_nautilus.market.recording import Batch, Recording
from ufos_nautilus.market.synthetic import START_NS
from ufos_nautilus.market.synthetic_checks import check_events, check_fields, refusal
from ufos_nautilus.market.synthetic_tables import QuoteColumns, TradeColumns, standard_normal, stream

OWNER: Final = "synthetic universe"
SECTORS: Final = (
    "Information Technology",
    "Health Care",
    "Financials",
    "Energy",
    "Consumer Discretionary",
    "Consumer Staples",
    "Industrials",
    "Utilities",
    "Materials",
    "Communication Services",
    "Real Estate",
)
"""The eleven GICS sectors."""
SESSION_S: Final = 23_400.0
"""Seconds of a regular session, 09:30 to 16:00."""
TICK: Final = Decimal("0.01")
ROUND_LOT: Final = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class UniverseParams:
    """Parameters of `generate_universe`.

    Parameters
    ----------
    seed : int
        Everything random follows from it.
    start_ns : int
        Start, UNIX nanoseconds.
    duration_s, step_s : float
        Length, and time between quotes of an instrument, seconds.
    instruments, sectors : int
        How many of each; instruments are dealt to sectors in turn.
    venue : str
        Venue of every instrument.
    market_sigma, sector_sigma, own_sigma : float
        Volatility of the three parts of the log return over a session of 6.5 hours, as a fraction.
    price_low, price_high : float
        Range of first prices, price units.
    trades_per_s : float
        Rate of market orders per instrument.
    reach_ticks : float
        Mean depth behind the touch that a market order reaches, ticks; 0 prints all trades at the touch.
    quote_lots : int
        Mean displayed size, round lots of 100 shares.

    """

    seed: int = 1
    start_ns: int = START_NS
    duration_s: float = 3_600.0
    step_s: float = 1.0
    instruments: int = 12
    sectors: int = 4
    venue: str = "XSIM"
    market_sigma: float = 0.010
    sector_sigma: float = 0.008
    own_sigma: float = 0.012
    price_low: float = 20.0
    price_high: float = 200.0
    trades_per_s: float = 0.5
    reach_ticks: float = 1.0
    quote_lots: int = 5

    def __post_init__(self) -> None:
        check_fields(
            OWNER,
            self,
            positive=("duration_s", "step_s", "price_low", "price_high"),
            not_negative=("market_sigma", "sector_sigma", "own_sigma", "trades_per_s", "reach_ticks"),
            counts=("instruments", "sectors", "quote_lots", "start_ns"),
        )
        if self.instruments > SYNTHETIC_INSTRUMENTS_MAX:
            raise LimitExceededError(
                f"{OWNER}: {self.instruments} instruments asked for", expected=f"at most {SYNTHETIC_INSTRUMENTS_MAX}"
            )
        if self.sectors > len(SECTORS):
            raise refusal(OWNER, "sectors", self.sectors, f"1 to {len(SECTORS)}")
        if not 1.0 <= self.price_low <= self.price_high:
            raise refusal(OWNER, "price_low", self.price_low, "at least 1 and at most price_high")
        if self.step_s < 1e-3:
            raise refusal(OWNER, "step_s", self.step_s, "a millisecond or more")
        total = math.hypot(self.market_sigma, self.sector_sigma, self.own_sigma)
        if total * math.sqrt(self.duration_s / SESSION_S) > 0.3:
            raise refusal(OWNER, "volatility over the whole duration", f"{total:g} per session", "at most 0.3 in all")
        check_events(OWNER, self.instruments * (self.steps + self.trades_per_s * self.duration_s))

    @property
    def steps(self) -> int:
        """Number of quote steps."""
        return max(1, math.floor(self.duration_s / self.step_s + 1e-6))

    def specs(self) -> list[InstrumentSpec]:
        """Return the instruments: AAAA, AAAB, ... in US dollars, ticks of a cent, sectors dealt in turn."""
        return [
            InstrumentSpec(
                instrument_id=f"{symbol_of(i)}.{self.venue}",
                kind="equity",
                base=symbol_of(i),
                quote="USD",
                settlement="USD",
                tick_size=TICK,
                lot_size=Decimal(1),
                price_precision=2,
                size_precision=0,
                sector=SECTORS[i % self.sectors],
            )
            for i in range(self.instruments)
        ]


def symbol_of(index: int) -> str:
    """Return the symbol of the stock with this number: four letters, counted from ``AAAA``."""
    letters = ""
    for _ in range(4):
        index, letter = divmod(index, 26)
        letters = chr(ord("A") + letter) + letters
    return letters


class _Equity:
    """One instrument: its true price, its last quote and the rows not yet handed over."""

    __slots__ = ("arrival", "beta", "log_price", "p", "quote", "quotes", "rng", "sector", "spec", "spread", "trades")

    def __init__(self, p: UniverseParams, spec: InstrumentSpec, sector: int) -> None:
        self.p = p
        self.spec = spec
        self.sector = sector
        self.rng = rng = stream(p.seed, spec.instrument_id)
        span = math.log(p.price_high / p.price_low)
        self.log_price = math.log(p.price_low) + rng.random() * span
        self.beta = 0.7 + 0.6 * rng.random()
        self.spread = 1 + int(3.0 * rng.random())
        self.quote = (0, 0, 0, 0)
        self.quotes = QuoteColumns()
        self.trades = TradeColumns()
        self.arrival = self._wait()

    def _wait(self) -> float:
        rate = self.p.trades_per_s
        return -math.log(1.0 - self.rng.random()) / rate if rate > 0.0 else math.inf

    def step(self, start_s: float, move: float) -> None:
        """Move the true price, quote it at a moment within the step and print the trades until the step ends."""
        p, random = self.p, self.rng.random
        self.log_price += move
        x = math.exp(self.log_price) * 100.0
        bid = max(1, math.floor(x - 0.5 * (self.spread - 1)))
        share = min(max((x - bid) / self.spread, 0.0), 1.0)
        lots = 2.0 * p.quote_lots * (0.5 + random())
        quote = (
            bid,
            bid + self.spread,
            ROUND_LOT * max(1, round(lots * share)),
            ROUND_LOT * max(1, round(lots * (1.0 - share))),
        )
        at = start_s + 0.5 * random() * p.step_s
        quote_ns = p.start_ns + round(at * 1e9)
        if quote != self.quote:
            self.quote = quote
            self.quotes.add(quote_ns, *quote)
        end = start_s + p.step_s
        while self.arrival < end:
            ts = max(p.start_ns + int(self.arrival * 1e9), quote_ns + 1)
            behind = int(-math.log(1.0 - random()) * p.reach_ticks)
            size = ROUND_LOT * (1 + int(-math.log(1.0 - random())))
            if random() < 0.5:
                self._print(ts, quote[1] + behind, size, "BUY")
            else:
                self._print(ts, max(1, quote[0] - behind), size, "SELL")
            self.arrival += self._wait()

    def _print(self, ts: int, price: int, size: int, side: str) -> None:
        rows = self.trades.ts
        self.trades.add(max(ts, rows[-1]) if rows else ts, price, size, side)


def _moves(p: UniverseParams, rng: Random) -> Iterator[tuple[float, list[float]]]:
    """Yield the market's and each sector's part of the log return, step by step."""
    scale = math.sqrt(p.step_s / SESSION_S)
    while True:
        market = standard_normal(rng) * p.market_sigma * scale
        yield market, [standard_normal(rng) * p.sector_sigma * scale for _ in range(p.sectors)]


def _batches(p: UniverseParams, equities: list[_Equity], facts: dict[str, Any]) -> Iterator[Batch]:
    own = p.own_sigma * math.sqrt(p.step_s / SESSION_S)
    factors = _moves(p, stream(p.seed, "factors"))
    for i in range(p.steps):
        market, sectors = next(factors)
        start_s = i * p.step_s
        for equity in equities:
            own_move = standard_normal(equity.rng) * own
            equity.step(start_s, equity.beta * market + sectors[equity.sector] + own_move if i else 0.0)
            if len(equity.quotes.ts) >= SYNTHETIC_BATCH_ROWS or len(equity.trades.ts) >= SYNTHETIC_BATCH_ROWS:
                yield from _flush(equity, facts)
    for equity in equities:
        yield from _flush(equity, facts)


def _flush(equity: _Equity, facts: dict[str, Any]) -> Iterator[Batch]:
    quotes, trades = equity.quotes, equity.trades
    equity.quotes, equity.trades = QuoteColumns(), TradeColumns(trades.next_id)
    for columns in (quotes, trades):
        if columns.ts:
            batch = columns.batch(equity.spec)
            facts[batch.kind] = facts.get(batch.kind, 0) + batch.frame.height
            yield batch


def generate_universe(params: UniverseParams) -> Recording:
    """Return a generated universe of correlated equities: quotes and trades per instrument.

    The same parameters give the same rows on every run; each instrument and the factors have random streams of
    their own.

    Parameters
    ----------
    params : UniverseParams
        What to generate.

    Returns
    -------
    Recording
        Its `facts` hold the parameters at once and the row counts when the batches are exhausted.

    """
    specs = params.specs()
    facts: dict[str, Any] = {"generator": "universe", "params": asdict(params)}
    equities = [_Equity(params, spec, i % params.sectors) for i, spec in enumerate(specs)]
    return Recording(specs, _batches(params, equities, facts), [], facts)
