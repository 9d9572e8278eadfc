"""The four tables of market data: their columns, their checks and how one becomes a Parquet file of a catalog."""

import datetime as dt
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Final

import polars as pl

from ufos_nautilus.errors import DataError, LimitExceededError
from ufos_nautilus.limits import CATALOG_ROWS_PER_FILE_MAX, PARQUET_ROW_GROUP_ROWS
from ufos_nautilus.market.instruments import InstrumentSpec
from ufos_nautilus.market.recording import TableKind

DECIMAL: Final = pl.Decimal(38, 16)
TIME: Final = pl.Datetime("ns", "UTC")
F_LAST: Final = 128
"""Flag of the last delta of an event."""
F_SNAPSHOT: Final = 32
"""Flag of a delta that belongs to a full snapshot."""

_TIMES: Final[dict[str, pl.DataType]] = {"ts_event": TIME, "ts_init": TIME}
SCHEMAS: Final[dict[TableKind, dict[str, pl.DataType]]] = {
    "order_book_deltas": {
        "action": pl.String(),
        "side": pl.String(),
        "price": DECIMAL,
        "size": DECIMAL,
        "order_id": pl.UInt64(),
        "flags": pl.UInt8(),
        "sequence": pl.UInt64(),
        **_TIMES,
    },
    "quotes": {"bid_price": DECIMAL, "ask_price": DECIMAL, "bid_size": DECIMAL, "ask_size": DECIMAL, **_TIMES},
    "trades": {"price": DECIMAL, "size": DECIMAL, "aggressor_side": pl.String(), "trade_id": pl.String(), **_TIMES},
    "bars": {"open": DECIMAL, "high": DECIMAL, "low": DECIMAL, "close": DECIMAL, "volume": DECIMAL, **_TIMES},
}
"""Table kind -> column -> type, in file order."""
TYPE_NAMES: Final[dict[TableKind, str]] = {
    "order_book_deltas": "OrderBookDelta",
    "quotes": "QuoteTick",
    "trades": "TradeTick",
    "bars": "Bar",
}
PRICE_COLUMNS: Final[dict[TableKind, tuple[str, ...]]] = {
    "order_book_deltas": ("price",),
    "quotes": ("bid_price", "ask_price"),
    "trades": ("price",),
    "bars": ("open", "high", "low", "close"),
}
SIZE_COLUMNS: Final[dict[TableKind, tuple[str, ...]]] = {
    "order_book_deltas": ("size",),
    "quotes": ("bid_size", "ask_size"),
    "trades": ("size",),
    "bars": ("volume",),
}
WORDS: Final[dict[str, tuple[str, ...]]] = {
    "action": ("ADD", "UPDATE", "DELETE", "CLEAR"),
    "side": ("BUY", "SELL", "NO_ORDER_SIDE"),
    "aggressor_side": ("BUY", "SELL", "NO_AGGRESSOR"),
}
"""Text column -> the words it may hold; `NO_ORDER_SIDE` belongs to CLEAR."""

_SCALE: Final = 16
_IDENTIFIER: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.:@^=+/ -]{0,120}")


@dataclass(frozen=True, slots=True)
class TableFile:
    """One written Parquet file; times are its least and greatest `ts_init` in UNIX nanoseconds."""

    path: Path
    rows: int
    first_ns: int
    last_ns: int


def stamp(ns: int) -> str:
    """Return `ns` (UNIX nanoseconds) as file names of a catalog have it: ``2023-11-14T22-13-20-000000000Z``."""
    seconds, rest = divmod(ns, 1_000_000_000)
    moment = dt.datetime.fromtimestamp(seconds, dt.UTC)
    return f"{moment:%Y-%m-%dT%H-%M-%S}-{rest:09d}Z"


def timestamp(ns: int) -> str:
    """Return `ns` (UNIX nanoseconds) as ISO 8601 text with nanoseconds: ``2023-11-14T22:13:20.000000000Z``."""
    seconds, rest = divmod(ns, 1_000_000_000)
    return f"{dt.datetime.fromtimestamp(seconds, dt.UTC):%Y-%m-%dT%H:%M:%S}.{rest:09d}Z"


def folder_name(identifier: str) -> str:
    """Return the directory of an instrument id or bar type, as the engine names it (without slashes).

    Raises
    ------
    DataError
        The identifier could lead out of the catalog or is no identifier.

    """
    if not _IDENTIFIER.fullmatch(identifier):
        raise DataError(
            f"{identifier!r} can't name a table",
            expected="letters, digits and . _ - : @ ^ = + / after a letter or digit, at most 121 characters",
        )
    return identifier.replace("/", "")


def decimal_column(values: Sequence[str] | pl.Series, name: str = "") -> pl.Series:
    """Turn decimal texts (or integers, decimals, floats) into exact Decimal(38, 16), in bulk.

    Floats go through their shortest text, so 61800.2 becomes exactly 61800.2.

    Raises
    ------
    DataError
        A value is no number, with the first such value.

    """
    series = values if isinstance(values, pl.Series) else pl.Series(name, values, dtype=pl.String)
    series = series.alias(name) if name else series
    if series.dtype.is_float():
        series = series.cast(pl.String)
    try:
        out = series.cast(DECIMAL, strict=False)
    except pl.exceptions.PolarsError as error:
        raise DataError(f"{name or 'column'}: {error}", expected="decimal numbers") from error
    if out.null_count() > series.null_count():
        first = series.filter(out.is_null() & series.is_not_null())[0]
        raise DataError(f"{name or 'column'}: {first!r} is no decimal number", expected="numbers such as 61800.2")
    return out


def utc_ns(values: Sequence[int] | pl.Series, name: str = "") -> pl.Series:
    """Turn UNIX nanoseconds (or datetimes, taken as UTC where they name no zone) into Datetime(ns, UTC)."""
    series = values if isinstance(values, pl.Series) else pl.Series(name, values, dtype=pl.Int64)
    series = series.alias(name) if name else series
    dtype = series.dtype
    if isinstance(dtype, pl.Datetime):
        series = series.dt.cast_time_unit("ns")
        zone = series.dt.replace_time_zone if dtype.time_zone is None else series.dt.convert_time_zone
        return zone("UTC")
    return series.cast(pl.Int64).cast(pl.Datetime("ns")).dt.replace_time_zone("UTC")


def infer_grid(prices: pl.Series) -> tuple[Decimal, int]:
    """Find the step of a price (or size) column from the values alone.

    The step is the greatest number of the form 1, 2, 2.5 or 5 times a power of ten that divides every value; a
    greatest common divisor such as 0.15 or 1000.5, seen where values are few, is so never taken for a tick.

    Parameters
    ----------
    prices : pl.Series
        Texts, integers, decimals or floats; zeros and nulls are ignored.

    Returns
    -------
    tuple of Decimal and int
        The step and its decimals.

    Raises
    ------
    DataError
        There is no value other than zero.

    """
    scaled = decimal_column(prices.drop_nulls().unique()).to_physical()
    divisor = math.gcd(*(int(v) for v in scaled.to_list()))
    if divisor == 0:
        raise DataError("no price or size other than zero: no grid can be inferred", next_step="give it as an option")
    return grid_below(Decimal(divisor).scaleb(-_SCALE))


def grid_below(divisor: Decimal) -> tuple[Decimal, int]:
    """Return the greatest 1, 2, 2.5 or 5 times a power of ten that divides `divisor`, and its decimals."""
    exponent = divisor.adjusted()
    while True:
        for mantissa in ("5", "2.5", "2", "1"):
            step = Decimal(mantissa).scaleb(exponent)
            if step <= divisor and divisor % step == 0:
                return plain(step), decimals(step)
        exponent -= 1


def plain(value: Decimal) -> Decimal:
    """Return `value` without trailing zeros and without an exponent."""
    short = value.normalize()
    return short if short.as_tuple().exponent <= 0 else short.quantize(Decimal(1))  # type: ignore[operator]


def decimals(value: Decimal) -> int:
    """Return how many decimals `value` needs."""
    exponent = value.normalize().as_tuple().exponent
    return max(0, -exponent) if isinstance(exponent, int) else 0


def validate(frame: pl.DataFrame, kind: TableKind, instrument: InstrumentSpec) -> None:
    """Check a frame against the schema of its kind and the grid of its instrument.

    Raises
    ------
    DataError
        Wrong columns, nulls, unsorted `ts_init`, words out of place, prices off the tick grid or sizes with too many
        decimals; each with the first example.

    """
    schema = SCHEMAS[kind]
    if dict(frame.schema) != schema or frame.columns != list(schema):
        got = ", ".join(f"{k}: {v}" for k, v in frame.schema.items())
        raise DataError(f"{instrument.instrument_id}: {kind} has columns {got}", expected=str(list(schema.items())))
    for name in frame.columns:
        if frame[name].null_count():
            row = frame[name].is_null().arg_true()[0]
            raise DataError(f"{instrument.instrument_id}: {kind}.{name} is empty in row {row}", expected="no nulls")
    if not frame["ts_init"].is_sorted():
        step = frame["ts_init"].diff().dt.total_nanoseconds()
        row = (step < 0).arg_true()[0]
        raise DataError(
            f"{instrument.instrument_id}: {kind}.ts_init goes back in row {row}: {frame['ts_init'][row]}",
            expected="rows sorted by ts_init",
        )
    for name in set(WORDS) & set(frame.columns):
        if wrong := set(frame[name].unique()) - set(WORDS[name]):
            raise DataError(f"{kind}.{name} holds {sorted(wrong)[0]!r}", expected=" | ".join(WORDS[name]))
    _check_grid(frame, kind, instrument)


def _check_grid(frame: pl.DataFrame, kind: TableKind, instrument: InstrumentSpec) -> None:
    # Only what rests in a book is bound to the tick: trades print between ticks, bars are averages and adjusted prices.
    booked = kind in ("order_book_deltas", "quotes")
    price_step = instrument.tick_size if booked else Decimal(1).scaleb(-instrument.price_precision)
    steps = [(name, price_step, "tick grid" if booked else "price precision") for name in PRICE_COLUMNS[kind]]
    lot = Decimal(1).scaleb(-instrument.size_precision)
    steps += [(name, lot, "size precision") for name in SIZE_COLUMNS[kind]]
    for name, step, word in steps:
        off = frame.select((pl.col(name) % pl.lit(step)) != 0).to_series()
        if off.any():
            row = frame.row(off.arg_true()[0], named=True)
            raise DataError(
                f"{instrument.instrument_id}: {kind}.{name} {row[name].normalize():f} at {row['ts_init']} "
                f"is off the {word} of {step} ({off.sum()} rows)",
                expected=f"multiples of {step}",
                next_step="give the right --tick or --lot",
            )
    for name in SIZE_COLUMNS[kind]:
        if frame.height and (least := frame[name].min()) < 0:  # type: ignore[operator]
            raise DataError(f"{instrument.instrument_id}: {kind}.{name} is {least}", expected="sizes of zero or more")


def write_table(
    frame: pl.DataFrame, root: Path, kind: TableKind, identifier: str, instrument: InstrumentSpec
) -> TableFile:
    """Validate `frame` and write it as one Parquet file that the engine's catalog can read.

    Parameters
    ----------
    frame : pl.DataFrame
        Rows of one table, columns as in `SCHEMAS`, sorted by `ts_init`, at least one row.
    root : Path
        The catalog (or staging) directory.
    kind, identifier : TableKind, str
        Which table; the identifier is the instrument id, for bars the bar type.
    instrument : InstrumentSpec
        Gives the grid.

    Raises
    ------
    DataError
        See `validate`.
    LimitExceededError
        More rows than `limits.CATALOG_ROWS_PER_FILE_MAX`.

    """
    if frame.height > CATALOG_ROWS_PER_FILE_MAX:
        raise LimitExceededError(
            f"{frame.height:,} rows for one file of {identifier}", expected=f"at most {CATALOG_ROWS_PER_FILE_MAX:,}"
        )
    if frame.height == 0:
        raise DataError(f"{identifier}: an empty table can't be written", expected="at least one row")
    validate(frame, kind, instrument)
    first, last = frame["ts_init"].to_physical()[0], frame["ts_init"].to_physical()[-1]
    path = root / "data" / kind / folder_name(identifier) / f"{stamp(first)}_{stamp(last)}.parquet"
    path.parent.mkdir(parents=True, exist_ok=True)
    metadata = {
        "instrument_id": instrument.instrument_id,
        "price_precision": str(instrument.price_precision),
        "size_precision": str(instrument.size_precision),
        "type_name": TYPE_NAMES[kind],
    }
    if kind == "bars":
        metadata["bar_type"] = identifier
    frame.write_parquet(path, compression="zstd", row_group_size=PARQUET_ROW_GROUP_ROWS, metadata=metadata)
    return TableFile(path, frame.height, first, last)
