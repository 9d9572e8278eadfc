"""Columns of generated market data, gathered as integers and turned into tables in the catalog's column types."""

from decimal import Decimal
from random import Random
from statistics import NormalDist

import polars as pl

from ufos_nautilus.market.instruments import InstrumentSpec
from ufos_nautilus.market.recording import Batch

DECIMAL = pl.Decimal(38, 16)
TIME = pl.Datetime("ns", "UTC")
F_LAST = 128
"""Flag of the last delta of an event: the book is whole again."""
F_SNAPSHOT = 32
"""Flag of deltas that belong to a full picture of the book."""

_INVERSE_NORMAL = NormalDist().inv_cdf


def stream(seed: int, *names: str) -> Random:
    """Return a random stream of its own for each purpose, so that changing one leaves the others as they were.

    `random.Random` seeded by text and its `random()` are the same on every platform and supported Python.
    """
    return Random("/".join((str(seed), *names)))


def standard_normal(rng: Random) -> float:
    """Return a standard normal number from one uniform draw by the inverse distribution function."""
    return _INVERSE_NORMAL(rng.random() or 2.0**-54)


def _times(column: list[int]) -> pl.Series:
    return pl.Series(column, dtype=pl.Int64).cast(pl.Datetime("ns")).dt.replace_time_zone("UTC")


def _decimals(column: list[int], step: Decimal) -> pl.Series:
    return pl.Series(column, dtype=pl.Int64).cast(DECIMAL) * pl.Series([step], dtype=DECIMAL)


class DeltaColumns:
    """Order book deltas being gathered; prices in ticks, sizes in lots."""

    __slots__ = ("action", "flags", "price", "sequence", "side", "size", "ts")

    def __init__(self) -> None:
        self.ts: list[int] = []
        self.action: list[str] = []
        self.side: list[str] = []
        self.price: list[int] = []
        self.size: list[int] = []
        self.flags: list[int] = []
        self.sequence: list[int] = []

    def add(self, ts: int, action: str, side: str, price: int, size: int, flags: int, sequence: int) -> None:
        """Append one delta."""
        self.ts.append(ts)
        self.action.append(action)
        self.side.append(side)
        self.price.append(price)
        self.size.append(size)
        self.flags.append(flags)
        self.sequence.append(sequence)

    def batch(self, spec: InstrumentSpec) -> Batch:
        """Return the rows as a batch."""
        times = _times(self.ts)
        frame = pl.DataFrame(
            {
                "action": pl.Series(self.action, dtype=pl.String),
                "side": pl.Series(self.side, dtype=pl.String),
                "price": _decimals(self.price, spec.tick_size),
                "size": _decimals(self.size, spec.lot_size),
                "order_id": pl.zeros(len(times), dtype=pl.UInt64, eager=True),
                "flags": pl.Series(self.flags, dtype=pl.UInt8),
                "sequence": pl.Series(self.sequence, dtype=pl.UInt64),
                "ts_event": times,
                "ts_init": times,
            }
        )
        return Batch("order_book_deltas", spec.instrument_id, spec.instrument_id, frame)


class QuoteColumns:
    """Best bids and asks being gathered; prices in ticks, sizes in lots."""

    __slots__ = ("ask", "ask_size", "bid", "bid_size", "ts")

    def __init__(self) -> None:
        self.ts: list[int] = []
        self.bid: list[int] = []
        self.ask: list[int] = []
        self.bid_size: list[int] = []
        self.ask_size: list[int] = []

    def add(self, ts: int, bid: int, ask: int, bid_size: int, ask_size: int) -> None:
        """Append one quote."""
        self.ts.append(ts)
        self.bid.append(bid)
        self.ask.append(ask)
        self.bid_size.append(bid_size)
        self.ask_size.append(ask_size)

    def batch(self, spec: InstrumentSpec) -> Batch:
        """Return the rows as a batch."""
        times = _times(self.ts)
        frame = pl.DataFrame(
            {
                "bid_price": _decimals(self.bid, spec.tick_size),
                "ask_price": _decimals(self.ask, spec.tick_size),
                "bid_size": _decimals(self.bid_size, spec.lot_size),
                "ask_size": _decimals(self.ask_size, spec.lot_size),
                "ts_event": times,
                "ts_init": times,
            }
        )
        return Batch("quotes", spec.instrument_id, spec.instrument_id, frame)


class TradeColumns:
    """Trades being gathered; prices in ticks, sizes in lots; ids count from 1."""

    __slots__ = ("first_id", "price", "side", "size", "ts")

    def __init__(self, first_id: int = 1) -> None:
        self.first_id = first_id
        self.ts: list[int] = []
        self.price: list[int] = []
        self.size: list[int] = []
        self.side: list[str] = []

    def add(self, ts: int, price: int, size: int, side: str) -> None:
        """Append one trade; `side` is the aggressor's."""
        self.ts.append(ts)
        self.price.append(price)
        self.size.append(size)
        self.side.append(side)

    @property
    def next_id(self) -> int:
        """Id the next trade will get."""
        return self.first_id + len(self.ts)

    def batch(self, spec: InstrumentSpec) -> Batch:
        """Return the rows as a batch."""
        times = _times(self.ts)
        frame = pl.DataFrame(
            {
                "price": _decimals(self.price, spec.tick_size),
                "size": _decimals(self.size, spec.lot_size),
                "aggressor_side": pl.Series(self.side, dtype=pl.String),
                "trade_id": pl.int_range(self.first_id, self.next_id, eager=True).cast(pl.String),
                "ts_event": times,
                "ts_init": times,
            }
        )
        return Batch("trades", spec.instrument_id, spec.instrument_id, frame)
