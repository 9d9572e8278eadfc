"""Figures of a result, worked out by the host from audited fills and its own market data."""

import math
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import polars as pl

from ufos_nautilus.market.tables import DECIMAL, F_LAST
from ufos_sandbox.audit_money import Books, Position, step
from ufos_sandbox.messages import GuestResult
from ufos_sandbox.slices import Slice

SAMPLES = 200
"""Instants at which equity is taken, evenly over the slice."""
TOPS = {"ts": pl.Int64, "bid": DECIMAL, "ask": DECIMAL}
TOPS_KEPT = 2_000
"""States of a book's top kept for marking positions."""


@dataclass(frozen=True, slots=True)
class Sample:
    """The state of a run at one instant."""

    ts: int
    balances: dict[tuple[str, str], Decimal]
    gains: dict[tuple[str, str], Decimal]
    """Venue and currency -> change of balance since the start, with open positions at mid."""
    held: dict[str, Decimal]


def figures(
    result: GuestResult, part: Slice, spec: dict[str, Any], books: Books
) -> tuple[dict[str, str], dict[str, Any], list[Sample]]:
    """Return profit by currency, the statistics and the samples they rest on.

    Returns
    -------
    (dict, dict, list of Sample)
        Profit of all positions and cash at the last mid price, as decimal text; statistics: counts, fees, turnover,
        largest position, share of winning closes, and for each currency the largest fall of equity and the ratio of
        mean to deviation of its changes (not annualised).

    """
    marks = Marks(part)
    samples = sample(result, part, spec, marks)
    profit: dict[str, Decimal] = defaultdict(Decimal)
    for (_, code), amount in gains(books, {name: marks.last(name) for name in books.positions}).items():
        profit[code] += amount
    rounded = {code: text(value.quantize(step(code))) for code, value in sorted(profit.items())}
    closes = books.wins + books.losses
    makers = sum(f.liquidity == "MAKER" for f in result.fills)
    curves: dict[str, list[float]] = defaultdict(list)
    for at in samples:
        by_code: dict[str, Decimal] = defaultdict(Decimal)
        for (_, code), amount in at.gains.items():
            by_code[code] += amount
        for code, amount in by_code.items():
            curves[code].append(float(amount))
    statistics = {
        "orders": len(result.orders),
        "fills": len(result.fills),
        "denied": result.counts.denied,
        "rejected": result.counts.rejected,
        "maker_share": round(makers / len(result.fills), 6) if result.fills else None,
        "fees": {c: text(v) for c, v in sorted(books.fees.items())},
        "turnover": {c: text(v) for c, v in sorted(books.turnover.items())},
        "max_inventory": {n: text(p.largest) for n, p in sorted(books.positions.items())},
        "win_rate": round(books.wins / closes, 6) if closes else None,
        "equity": {code: _curve(values) for code, values in sorted(curves.items())},
    }
    return rounded, statistics, samples


class Marks:
    """Best bid and ask of the slice's instruments over time, as far as the slice tells."""

    def __init__(self, part: Slice) -> None:
        self._part = part
        self._tops: dict[str, pl.DataFrame] = {}

    def frame(self, name: str) -> pl.DataFrame:
        """Return ``ts``, ``bid`` and ``ask``: of quotes or the book, else twice the price of trades or bars."""
        if name not in self._tops:
            self._tops[name] = self._make(name)
        return self._tops[name]

    def last(self, name: str) -> Decimal | None:
        """Return the last mid price."""
        frame = self.frame(name)
        return (frame["bid"][-1] + frame["ask"][-1]) / 2 if frame.height else None

    def at(self, name: str, times: list[int]) -> list[tuple[Decimal, Decimal] | None]:
        """Return bid and ask at each instant; the times must not go back."""
        frame = self.frame(name)
        if frame.is_empty():
            return [None] * len(times)
        asked = pl.DataFrame({"ts": pl.Series(times, dtype=pl.Int64)})
        found = asked.join_asof(frame, on="ts").select("bid", "ask").rows()
        return [None if bid is None else (bid, ask) for bid, ask in found]

    def _make(self, name: str) -> pl.DataFrame:
        ts = pl.col("ts_init").dt.epoch("ns").alias("ts")
        for identifier in self._part.identifiers("quotes", name)[:1]:
            frame = self._part.frame("quotes", identifier)
            return frame.select(ts, pl.col("bid_price").alias("bid"), pl.col("ask_price").alias("ask")).sort("ts")
        for identifier in self._part.identifiers("order_book_deltas", name)[:1]:
            return _tops_of_book(self._part.frame("order_book_deltas", identifier))
        for kind, column in (("trades", "price"), ("bars", "close")):
            for identifier in self._part.identifiers(kind, name)[:1]:
                frame = self._part.frame(kind, identifier)
                return frame.select(ts, pl.col(column).alias("bid"), pl.col(column).alias("ask")).sort("ts")
        return pl.DataFrame(schema=TOPS)


def _tops_of_book(deltas: pl.DataFrame) -> pl.DataFrame:
    """Replay a book and keep its top now and then, and at the end."""
    times = deltas["ts_init"].dt.epoch("ns").to_list()
    prices = (deltas["price"] * 10**9).cast(pl.Int64).to_list()
    rows = zip(
        times, deltas["action"].to_list(), deltas["side"].to_list(), prices, deltas["flags"].to_list(), strict=True
    )
    every = max(1, len(times) // TOPS_KEPT)
    bids: set[int] = set()
    asks: set[int] = set()
    out: list[tuple[int, Decimal, Decimal]] = []
    due = 0
    for n, (ts, action, side, price, flags) in enumerate(rows):
        if action == "CLEAR":
            bids.clear()
            asks.clear()
        elif action == "DELETE":
            (bids if side == "BUY" else asks).discard(price)
        else:
            (bids if side == "BUY" else asks).add(price)
        # Only between two events is a book whole.
        if (n >= due or n == len(times) - 1) and flags & F_LAST and bids and asks:
            due = n + every
            out.append((ts, Decimal(max(bids)).scaleb(-9), Decimal(min(asks)).scaleb(-9)))
    return pl.DataFrame(out, schema=TOPS, orient="row")


def sample(result: GuestResult, part: Slice, spec: dict[str, Any], marks: Marks) -> list[Sample]:
    """Return the state of the run at evenly spaced instants."""
    span = max(1, part.last_ns - part.first_ns)
    times = [part.first_ns + span * i // SAMPLES for i in range(1, SAMPLES + 1)]
    books, fills, at = Books(part, spec), result.fills, 0
    names = sorted({f.instrument_id for f in fills if f.instrument_id in part.instruments})
    tops = {name: marks.at(name, times) for name in names}
    out = []
    for n, now in enumerate(times):
        while at < len(fills) and fills[at].ts <= now:
            if fills[at].instrument_id in part.instruments:
                books.add(fills[at])
            at += 1
        mids = {name: None if (top := tops[name][n]) is None else (top[0] + top[1]) / 2 for name in names}
        held = {name: p.quantity for name, p in books.positions.items()}
        out.append(Sample(now, dict(books.balances), gains(books, mids), held))
    return out


def gains(books: Books, mids: Mapping[str, Decimal | None]) -> dict[tuple[str, str], Decimal]:
    """Return what each balance has gained since the start, with open positions at the given prices."""
    out = {key: amount - books.start.get(key, Decimal(0)) for key, amount in books.balances.items()}
    for name, position in books.positions.items():
        venue = position.instrument.venue
        for code, worth in _open_value(position, mids.get(name), books).items():
            out[venue, code] = out.get((venue, code), Decimal(0)) + worth
    return out


def _open_value(position: Position, mid: Decimal | None, books: Books) -> dict[str, Decimal]:
    """Return what an open position adds to the balances: its worth on a cash account, else its profit."""
    instrument = position.instrument
    if mid is None or not position.quantity:
        return {}
    if books.venues[instrument.venue]["account"] == "cash":
        worth = position.quantity * instrument.multiplier * mid
        if instrument.kind == "currency_pair":
            # The balance holds the base currency already; its worth is counted in the quote currency instead.
            return {instrument.quote: worth, instrument.base: -position.quantity}
        return {instrument.quote: worth}
    return {instrument.settlement: position.profit(position.quantity, position.average, mid)}


def _curve(values: list[float]) -> dict[str, Any]:
    peak, fall = 0.0, 0.0
    for value in values:
        peak = max(peak, value)
        fall = max(fall, peak - value)
    changes = [b - a for a, b in zip([0.0, *values], values, strict=False)]
    mean = sum(changes) / len(changes) if changes else 0.0
    deviation = math.sqrt(sum((c - mean) ** 2 for c in changes) / len(changes)) if changes else 0.0
    return {
        "samples": [round(v, 6) for v in values],
        "max_drawdown": round(fall, 6),
        "mean_to_deviation": round(mean / deviation, 6) if deviation else None,
    }


def text(value: Decimal) -> str:
    """Return a decimal without exponent and without trailing zeros."""
    plain = f"{value:f}"
    return plain.rstrip("0").rstrip(".") if "." in plain else plain
