"""Figures of a result, worked out by the host from audited fills and its own market data."""

import math
from collections import defaultdict
from decimal import Decimal
from typing import Any

import polars as pl

from ufos_sandbox.audit_money import Books, Position, step
from ufos_sandbox.messages import GuestResult
from ufos_sandbox.slices import Slice

SAMPLES = 200
"""Instants at which equity is taken, evenly over the slice."""


def figures(result: GuestResult, part: Slice, spec: dict[str, Any], books: Books) -> tuple[dict[str, str], dict[str, Any]]:
    """Return profit by currency and the statistics.

    Returns
    -------
    (dict, dict)
        Profit of all positions and cash at the last mid price, as decimal text; statistics: counts, fees, turnover,
        largest position, share of winning closes, and for each currency the largest fall of equity and the ratio of
        mean to deviation of its changes (not annualised).

    """
    marks = Marks(part)
    profit: dict[str, Decimal] = defaultdict(Decimal)
    for (venue, code), amount in books.balances.items():
        profit[code] += amount - books.start.get((venue, code), Decimal(0))
    for name, position in books.positions.items():
        for code, value in _open_value(position, marks.last(name), books).items():
            profit[code] += value
    rounded = {code: _text(value.quantize(step(code))) for code, value in sorted(profit.items())}
    closes = books.wins + books.losses
    makers = sum(f.liquidity == "MAKER" for f in result.fills)
    statistics = {
        "orders": len(result.orders),
        "fills": len(result.fills),
        "denied": result.counts.denied,
        "rejected": result.counts.rejected,
        "maker_share": round(makers / len(result.fills), 6) if result.fills else None,
        "fees": {c: _text(v) for c, v in sorted(books.fees.items())},
        "turnover": {c: _text(v) for c, v in sorted(books.turnover.items())},
        "max_inventory": {n: _text(p.largest) for n, p in sorted(books.positions.items())},
        "win_rate": round(books.wins / closes, 6) if closes else None,
        "equity": {code: _curve(values) for code, values in sorted(equity(result, part, spec, marks).items())},
    }
    return rounded, statistics


class Marks:
    """Mid prices of the slice's instruments over time."""

    def __init__(self, part: Slice) -> None:
        self._part = part
        self._mids: dict[str, pl.DataFrame] = {}

    def frame(self, name: str) -> pl.DataFrame:
        """Return ``ts`` and ``mid``; from quotes, else the prices of trades, else the closes of bars."""
        if name not in self._mids:
            self._mids[name] = self._make(name)
        return self._mids[name]

    def last(self, name: str) -> Decimal | None:
        """Return the last mid price."""
        frame = self.frame(name)
        return frame["mid"][-1] if frame.height else None

    def at(self, name: str, times: list[int]) -> list[Decimal | None]:
        """Return the mid price at each instant."""
        frame = self.frame(name)
        if frame.is_empty():
            return [None] * len(times)
        asked = pl.DataFrame({"ts": pl.Series(times, dtype=pl.Int64)})
        return asked.join_asof(frame, on="ts")["mid"].to_list()

    def _make(self, name: str) -> pl.DataFrame:
        ts = pl.col("ts_init").dt.epoch("ns").alias("ts")
        mid = (pl.col("bid_price") + pl.col("ask_price")) / 2
        choices = (("quotes", mid), ("trades", pl.col("price")), ("bars", pl.col("close")))
        for kind, value in choices:
            for identifier in self._part.identifiers(kind, name)[:1]:
                return self._part.frame(kind, identifier).select(ts, value.cast(pl.Decimal(38, 16)).alias("mid")).sort("ts")
        for identifier in self._part.identifiers("order_book_deltas", name)[:1]:
            return _mids_of_book(self._part.frame("order_book_deltas", identifier))
        return pl.DataFrame(schema={"ts": pl.Int64, "mid": pl.Decimal(38, 16)})


def _mids_of_book(deltas: pl.DataFrame) -> pl.DataFrame:
    """Replay a book and keep its mid price after every event, thinned to `SAMPLES` and the last."""
    times = deltas["ts_init"].dt.epoch("ns").to_list()
    rows = zip(times, deltas["action"].to_list(), deltas["side"].to_list(), deltas["price"].to_list(), strict=True)
    every = max(1, len(times) // (SAMPLES * 4))
    levels: dict[str, set[Decimal]] = {"BUY": set(), "SELL": set()}
    out: list[tuple[int, Decimal]] = []
    for n, (ts, action, side, price) in enumerate(rows):
        if action == "CLEAR":
            for book in levels.values():
                book.clear()
        elif action == "DELETE":
            levels[side].discard(price)
        else:
            levels[side].add(price)
        if (n % every == 0 or n == len(times) - 1) and levels["BUY"] and levels["SELL"]:
            out.append((ts, (max(levels["BUY"]) + min(levels["SELL"])) / 2))
    return pl.DataFrame(out, schema={"ts": pl.Int64, "mid": pl.Decimal(38, 16)}, orient="row")


def equity(result: GuestResult, part: Slice, spec: dict[str, Any], marks: Marks) -> dict[str, list[float]]:
    """Return profit so far by currency, at evenly spaced instants."""
    span = max(1, part.last_ns - part.first_ns)
    times = [part.first_ns + span * i // SAMPLES for i in range(1, SAMPLES + 1)]
    books, fills, at = Books(part, spec), result.fills, 0
    names = sorted({f.instrument_id for f in fills if f.instrument_id in part.instruments})
    mids = {name: marks.at(name, times) for name in names}
    out: dict[str, list[float]] = defaultdict(list)
    for n, now in enumerate(times):
        while at < len(fills) and fills[at].ts <= now:
            if fills[at].instrument_id in part.instruments:
                books.add(fills[at])
            at += 1
        value: dict[str, Decimal] = defaultdict(Decimal)
        for (venue, code), amount in books.balances.items():
            value[code] += amount - books.start.get((venue, code), Decimal(0))
        for name, position in books.positions.items():
            for code, worth in _open_value(position, mids[name][n], books).items():
                value[code] += worth
        for code, worth in value.items():
            out[code].append(float(worth))
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


def _text(value: Decimal) -> str:
    text = f"{value:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text
