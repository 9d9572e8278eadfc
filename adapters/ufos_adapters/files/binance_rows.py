"""Columns of a raw Binance recording: collected as texts and integers, converted in bulk, spilled when many."""

import math
import shutil
import tempfile
import weakref
from collections.abc import Iterator
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Final

import polars as pl

from ufos_nautilus.limits import IMPORT_BUFFER_ROWS_MAX
from ufos_nautilus.market.recording import TableKind
from ufos_nautilus.market.tables import DECIMAL, F_LAST, PRICE_COLUMNS, SIZE_COLUMNS, grid_below, utc_ns

ADD, UPDATE, DELETE, SELL, CLEAR = 0, 1, 2, 3, 6
"""Codes of delta rows; `SELL` is added for the ask side."""
_ACTIONS: Final = pl.Series(["ADD", "UPDATE", "DELETE"] * 2 + ["CLEAR"])
_SIDES: Final = pl.Series(["BUY"] * 3 + ["SELL"] * 3 + ["NO_ORDER_SIDE"])


_EVENT: Final = {
    "rows": pl.UInt32,
    "flag": pl.UInt8,
    "sequence": pl.UInt64,
    "ts_event": pl.Int64,
    "ts_init": pl.Int64,
}


GRID_PRICES_MIN: Final = 500
"""Different prices in a frame before its grid says anything about others."""
OFF_GRID_FEW, OFF_GRID_SHARE_MAX = 5, 0.01
"""So many prices, or this share, off the grid of all others are errors; more of them are a finer grid."""


class BadNumberError(ValueError):
    """A price or size that is no decimal of zero or more; the text is the message."""


class OffGridError(BadNumberError):
    """A price finer than nearly all others of the recording; the text is the message."""


def _decimal(texts: list[str]) -> pl.Series:
    series = pl.Series(texts, dtype=pl.String)
    numbers = series.cast(DECIMAL, strict=False)
    if numbers.null_count() or (len(numbers) and numbers.min() < 0):  # type: ignore[operator]
        raise BadNumberError(series.filter(numbers.is_null() | (numbers < 0))[0])
    return numbers


@dataclass(slots=True)
class DeltaRows:
    """Order book deltas: three values a row, four an event."""

    prices: list[str] = field(default_factory=list)
    sizes: list[str] = field(default_factory=list)
    codes: list[int] = field(default_factory=list)
    events: list[tuple[int, int, int, int, int]] = field(default_factory=list)
    """End row, flag, sequence, event time and receive time of each event."""
    closed: int = 0

    def close_event(self, sequence: int, event_ns: int, init_ns: int, flag: int = 0) -> None:
        """Give the rows added since the last event their times and flag; no rows are no event."""
        rows = len(self.prices)
        if rows > self.closed:
            self.events.append((rows - self.closed, flag, sequence, event_ns, init_ns))
            self.closed = rows

    def take(self) -> pl.DataFrame:
        """Return the rows as a frame and start anew."""
        codes = pl.Series(self.codes, dtype=pl.UInt8)
        events = pl.DataFrame(
            self.events,
            schema={
                "rows": pl.UInt32,
                "flag": pl.UInt8,
                "sequence": pl.UInt64,
                "ts_event": pl.Int64,
                "ts_init": pl.Int64,
            },
            orient="row",
        )
        index = events.select(pl.int_range(pl.len(), dtype=pl.UInt32).repeat_by("rows").explode()).to_series()
        last = index != index.shift(-1, fill_value=len(events))
        spread = events[index]
        frame = pl.DataFrame(
            {
                "action": _ACTIONS.gather(codes),
                "side": _SIDES.gather(codes),
                "price": _decimal(self.prices),
                "size": _decimal(self.sizes),
                "order_id": pl.zeros(len(codes), pl.UInt64, eager=True),
                "flags": spread["flag"] + last.cast(pl.UInt8) * F_LAST,
                "sequence": spread["sequence"],
                "ts_event": utc_ns(spread["ts_event"]),
                "ts_init": utc_ns(spread["ts_init"]),
            }
        )
        self.__init__()
        return frame


@dataclass(slots=True)
class TradeRows:
    """Trades: price, size, whether the buyer was the maker, id, event time, receive time."""

    rows: list[tuple[str, str, bool, int, int, int]] = field(default_factory=list)

    def take(self) -> pl.DataFrame:
        """Return the rows as a frame and start anew."""
        prices, sizes, maker_bought, ids, event_ns, init_ns = map(list, zip(*self.rows, strict=True))
        frame = pl.DataFrame(
            {
                "price": _decimal(prices),
                "size": _decimal(sizes),
                # The buyer was the maker, so the aggressor sold.
                "aggressor_side": pl.Series(["BUY", "SELL"]).gather(pl.Series(maker_bought).cast(pl.UInt32)),
                "trade_id": pl.Series(ids, dtype=pl.Int64).cast(pl.String),
                "ts_event": utc_ns(event_ns),
                "ts_init": utc_ns(init_ns),
            }
        )
        self.rows.clear()
        return frame


@dataclass(slots=True)
class QuoteRows:
    """Quotes: bid price, ask price, bid size, ask size, event time, receive time."""

    rows: list[tuple[str, str, str, str, int, int]] = field(default_factory=list)

    def take(self) -> pl.DataFrame:
        """Return the rows as a frame and start anew."""
        *levels, event_ns, init_ns = map(list, zip(*self.rows, strict=True))
        names = ("bid_price", "ask_price", "bid_size", "ask_size")
        frame = pl.DataFrame(
            {
                **{name: _decimal(column) for name, column in zip(names, levels, strict=True)},
                "ts_event": utc_ns(event_ns),
                "ts_init": utc_ns(init_ns),
            }
        )
        self.rows.clear()
        return frame


class Store:
    """Frames of one recording until its clock shift and its grid are known; on disk once they are many."""

    def __init__(self, rows_in_memory_max: int = IMPORT_BUFFER_ROWS_MAX) -> None:
        self._frames: list[tuple[TableKind, pl.DataFrame | Path]] = []
        self._in_memory = 0
        self._max = rows_in_memory_max
        self._folder: Path | None = None
        self.rows: dict[TableKind, int] = {"order_book_deltas": 0, "trades": 0, "quotes": 0}
        self._price_divisor = self._traded_divisor = self._size_divisor = 0
        self.tick_given = False
        """The tick is not to be found here, so no price can be off it."""
        self._decimal_step = 0

    def add(self, kind: TableKind, frame: pl.DataFrame) -> None:
        """Keep a frame.

        Raises
        ------
        OffGridError
            Where a few prices have more decimals than all the others: a tick found from them would be wrong.

        """
        self.rows[kind] += frame.height
        for name in PRICE_COLUMNS[kind] if not self.tick_given else ():
            self._check_grid(frame[name].unique().to_physical().to_list())
        self._price_divisor = _fold(self._price_divisor, frame, PRICE_COLUMNS[kind])
        self._size_divisor = _fold(self._size_divisor, frame, SIZE_COLUMNS[kind])
        if kind == "trades":
            self._traded_divisor = _fold(self._traded_divisor, frame, SIZE_COLUMNS[kind])
        if self._in_memory + frame.height <= self._max:
            self._in_memory += frame.height
            self._frames.append((kind, frame))
            return
        if self._folder is None:
            self._folder = Path(tempfile.mkdtemp(prefix="ufos-import-"))
            # Also where the frames are never drained.
            weakref.finalize(self, shutil.rmtree, self._folder, ignore_errors=True)
        path = self._folder / f"{len(self._frames)}.arrow"
        frame.write_ipc(path, compression="lz4")
        self._frames.append((kind, path))

    def _check_grid(self, prices: list[int]) -> None:
        known = self._decimal_step
        if not known and len(prices) < GRID_PRICES_MIN:
            return
        few = max(OFF_GRID_FEW, len(prices) * OFF_GRID_SHARE_MAX)
        steps = [known] if known else [10**exponent for exponent in range(16, -1, -1)]
        for step in steps:
            off = [price for price in prices if price % step]
            if len(off) <= few:
                break
        else:
            self._decimal_step = 0  # many prices are finer: the tick has changed
            return
        if off:
            raise OffGridError(f"{Decimal(off[0]).scaleb(-16).normalize():f}")
        self._decimal_step = step

    def steps(self) -> tuple[Decimal, Decimal, Decimal]:
        """Return the steps of all prices, of traded sizes (all sizes where there are no trades) and of all sizes."""
        traded = self._traded_divisor or self._size_divisor
        return _step(self._price_divisor), _step(traded), _step(self._size_divisor)

    def drain(self, shift_ns: int) -> Iterator[tuple[TableKind, pl.DataFrame]]:
        """Yield every frame once, in order, its receive times shifted."""
        shift = pl.duration(nanoseconds=shift_ns)
        self._frames.reverse()
        while self._frames:
            kind, kept = self._frames.pop()
            frame = kept if isinstance(kept, pl.DataFrame) else pl.read_ipc(kept.read_bytes())
            if isinstance(kept, Path):
                kept.unlink()
            # Without a time of the exchange the event time is the receive time: both move.
            untimed = pl.col("ts_event").to_physical() == 0
            event = pl.when(untimed).then(pl.col("ts_init") + shift).otherwise(pl.col("ts_event"))
            init = pl.col("ts_init") + shift
            yield kind, frame.with_columns(ts_event=event, ts_init=init)


def _fold(divisor: int, frame: pl.DataFrame, columns: tuple[str, ...]) -> int:
    for name in columns:
        divisor = math.gcd(divisor, *frame[name].unique().to_physical().to_list())
    return divisor


def _step(divisor: int) -> Decimal:
    # Never above 1: a coarser step can't be told from too few values.
    return min(grid_below(Decimal(divisor).scaleb(-16))[0], Decimal(1)) if divisor else Decimal(1)
