"""A generated universe of daily bars: a market, sectors, drifts that last for a while, pairs, dividends and splits.

Returns are beta times a market factor, a sector factor, a drift of the stock's own that is redrawn every few months
(so that momentum has something to find), and noise. Every second stock of a sector follows the one before it: the
distance between the two comes back to its mean. Bars are raw: a split moves the price, and dividends are paid on the
ex-date; both are facts of the recording, as an import of daily bars has them.
"""

import datetime as dt
import math
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from decimal import Decimal
from typing import Any, Final

import polars as pl

from ufos_nautilus.limits import SYNTHETIC_INSTRUMENTS_MAX
from ufos_nautilus.market.instruments import InstrumentSpec
from ufos_nautilus.market.recording import Batch, Recording
from ufos_nautilus.market.synthetic_checks import check_events, check_fields, refusal
from ufos_nautilus.market.synthetic_tables import DECIMAL, standard_normal, stream
from ufos_nautilus.market.synthetic_universe import SECTORS, symbol_of
from ufos_nautilus.market.tables import SCHEMAS

OWNER: Final = "synthetic daily"
TICK: Final = Decimal("0.01")
CLOSE: Final = dt.time(21, 0)
TOBACCO: Final = "Tobacco"
YEAR_DAYS: Final = 252


@dataclass(frozen=True, slots=True, kw_only=True)
class DailyParams:
    """Parameters of `generate_daily`.

    Parameters
    ----------
    seed : int
        Seed of everything.
    start : str
        First day, ISO; weekends have no bars, and every bar is stamped 21:00 UTC.
    days : int
        Bars of each instrument.
    instruments, sectors : int
        How many, and over how many GICS sectors.
    market_volatility, sector_volatility, own_volatility : float
        Per year, fractions.
    drift_volatility : float
        Spread of the drifts among stocks, per year.
    drift_days : int
        Bars for which a drift lasts.
    pair_days : float
        Bars in which the distance between the two of a pair halves.
    dividend_yield : float
        Per year, paid every quarter; 0 pays none.
    split_after : int
        The first instrument splits two for one after so many bars; 0 never.
    venue : str
        Venue of all.

    """

    seed: int = 1
    start: str = "2020-01-02"
    days: int = 504
    instruments: int = 12
    sectors: int = 4
    market_volatility: float = 0.15
    sector_volatility: float = 0.08
    own_volatility: float = 0.2
    drift_volatility: float = 0.3
    drift_days: int = 120
    pair_days: float = 15.0
    dividend_yield: float = 0.02
    split_after: int = 0
    venue: str = "XSIM"

    def __post_init__(self) -> None:
        check_fields(
            OWNER,
            self,
            positive=("days", "instruments", "sectors", "drift_days", "pair_days"),
            not_negative=(
                "market_volatility", "sector_volatility", "own_volatility", "drift_volatility", "dividend_yield",
                "split_after",
            ),
        )  # fmt: skip
        if self.instruments > SYNTHETIC_INSTRUMENTS_MAX:
            raise refusal(OWNER, "instruments", self.instruments, f"at most {SYNTHETIC_INSTRUMENTS_MAX}")
        if self.sectors > len(SECTORS):
            raise refusal(OWNER, "sectors", self.sectors, f"1 to {len(SECTORS)}")
        check_events(OWNER, float(self.days) * self.instruments)
        try:
            dt.date.fromisoformat(self.start)
        except (TypeError, ValueError):
            raise refusal(OWNER, "start", self.start, "a date such as 2020-01-02") from None

    def instrument_specs(self) -> list[InstrumentSpec]:
        """Return the instruments, whole shares at a cent."""
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
                sector=SECTORS[(i // 2) % self.sectors],
            )
            for i in range(self.instruments)
        ]


def generate_daily(params: DailyParams) -> Recording:
    """Return a generated universe of daily bars.

    Parameters
    ----------
    params : DailyParams
        What to generate.

    Returns
    -------
    Recording
        One batch an instrument; `facts` hold the parameters, dividends, splits and sub-industries. The first
        instrument is in the sub-industry Tobacco.

    """
    specs = params.instrument_specs()
    dates = _dates(params)
    dividends: dict[str, list[list[str]]] = {}
    splits: dict[str, list[list[str]]] = {}
    tables = list(_tables(params, specs, dates, dividends, splits))
    facts: dict[str, Any] = {
        "generator": "daily",
        "params": asdict(params),
        "dividends": dividends,
        "distributions": {},
        "splits": splits,
        "sub_industries": {specs[0].symbol: TOBACCO},
    }
    return Recording(specs, iter(tables), [], facts)


def _dates(params: DailyParams) -> list[dt.date]:
    day = dt.date.fromisoformat(params.start)
    dates: list[dt.date] = []
    while len(dates) < params.days:
        if day.weekday() < 5:
            dates.append(day)
        day += dt.timedelta(days=1)
    return dates


def _factors(params: DailyParams, name: str, volatility: float) -> list[float]:
    rng = stream(params.seed, "daily", name)
    scale = volatility / math.sqrt(YEAR_DAYS)
    return [scale * standard_normal(rng) for _ in range(params.days)]


def _log_prices(params: DailyParams, index: int, shared: list[float], leader: list[float] | None) -> list[float]:
    """Return the log price of one stock at every close, relative to its start."""
    rng = stream(params.seed, "daily", "own", str(index))
    beta = 0.7 + 0.6 * rng.random()
    noise = params.own_volatility / math.sqrt(YEAR_DAYS)
    if leader is not None:
        back = 0.5 ** (1.0 / params.pair_days)
        distance, path = 0.0, []
        for level in leader:
            distance = back * distance + 0.5 * noise * standard_normal(rng)
            path.append(level + distance)
        return path
    level, drift, path = 0.0, 0.0, []
    for day in range(params.days):
        if day % params.drift_days == 0:
            drift = params.drift_volatility * standard_normal(rng) / YEAR_DAYS
        level += drift + beta * shared[day] + noise * standard_normal(rng)
        path.append(level)
    return path


def _tables(
    params: DailyParams,
    specs: list[InstrumentSpec],
    dates: list[dt.date],
    dividends: dict[str, list[list[str]]],
    splits: dict[str, list[list[str]]],
) -> Iterator[Batch]:
    market = _factors(params, "market", params.market_volatility)
    sectors = {
        name: _factors(params, name, params.sector_volatility) for name in dict.fromkeys(s.sector for s in specs)
    }
    leader: list[float] | None = None
    for index, spec in enumerate(specs):
        shared = [a + b for a, b in zip(market, sectors[spec.sector], strict=True)]
        path = _log_prices(params, index, shared, leader if index % 2 else None)
        leader = path
        split = params.split_after if index == 0 else 0
        rows, paid = _bars(params, index, path, split)
        if paid:
            dividends[spec.symbol] = [[dates[day].isoformat(), amount] for day, amount in paid]
        if 0 < split < params.days:
            splits[spec.symbol] = [[dates[split].isoformat(), "2"]]
        yield _batch(spec, rows, dates)


def _bars(
    params: DailyParams, index: int, path: list[float], split: int
) -> tuple[list[tuple[int, int, int, int, int]], list[tuple[int, str]]]:
    """Return bars (open, high, low, close in ticks, volume) and dividends (day, amount) of one stock."""
    rng = stream(params.seed, "daily", "bars", str(index))
    start = 2_000 + 500 * (index % 16)
    scale, ratio, before = float(start), 1.0, start
    wiggle = params.own_volatility / math.sqrt(YEAR_DAYS) / 3
    rows: list[tuple[int, int, int, int, int]] = []
    paid: list[tuple[int, str]] = []
    for day, level in enumerate(path):
        if split and day == split:
            ratio, before = ratio / 2, round(before / 2)
        if params.dividend_yield and day % 63 == 21 + index % 21 and day != split:
            amount = round(before * params.dividend_yield / 4)
            if amount:
                paid.append((day, str((amount * TICK).normalize())))
                ratio *= 1.0 - amount / before
                before -= amount
        opened = max(1, round(before * math.exp(wiggle * standard_normal(rng))))
        close = max(1, round(scale * ratio * math.exp(level)))
        high = max(opened, close) + int(close * wiggle * rng.random())
        low = max(1, min(opened, close) - int(close * wiggle * rng.random()))
        volume = round(1_000_000 / (1 + index % 5) * (0.5 + rng.random()))
        rows.append((opened, high, low, close, volume))
        before = close
    return rows, paid


def _batch(spec: InstrumentSpec, rows: list[tuple[int, int, int, int, int]], dates: list[dt.date]) -> Batch:
    closes = [dt.datetime.combine(date, CLOSE) for date in dates]
    times = pl.Series(closes, dtype=pl.Datetime("ns")).dt.replace_time_zone("UTC")
    columns = zip(*rows, strict=True)
    step = pl.Series([TICK], dtype=DECIMAL)
    frame = pl.DataFrame(
        {
            **{
                name: (pl.Series(list(column), dtype=pl.Int64).cast(DECIMAL) * (step if name != "volume" else 1))
                for name, column in zip(("open", "high", "low", "close", "volume"), columns, strict=True)
            },
            "ts_event": times,
            "ts_init": times,
        }
    )
    frame = frame.select(pl.col(name).cast(kind) for name, kind in SCHEMAS["bars"].items())
    return Batch("bars", f"{spec.instrument_id}-1-DAY-LAST-EXTERNAL", spec.instrument_id, frame)
