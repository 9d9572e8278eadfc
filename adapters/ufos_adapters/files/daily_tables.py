"""Daily sources as tables: long tables of many symbols, adjusted closes, sectors, LEAN bars and factor files."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Literal

import polars as pl

from ufos_adapters.files.sources import Source, open_source, read_csv
from ufos_nautilus.errors import DataError
from ufos_nautilus.market.tables import DECIMAL, decimal_column

Role = Literal["bars", "adjusted", "sectors", "lean", "factors"]

PRICES: Final = ("open", "high", "low", "close")
BAR_COLUMNS: Final = ("date", "symbol", *PRICES, "volume")
LEAN_UNITS: Final = 10_000
"""Price units in one dollar in LEAN's bars."""
_WHOLE: Final = pl.Int64()
_LEAN_COLUMNS: Final[dict[str, pl.DataType]] = {"date": pl.String(), **dict.fromkeys((*PRICES, "volume"), _WHOLE)}
_FACTOR_COLUMNS: Final[dict[str, pl.DataType]] = {
    "date": _WHOLE,
    "price_factor": pl.Decimal(20, 10),
    "split_factor": pl.Decimal(20, 10),
    "reference": pl.Decimal(20, 6),
}


@dataclass(slots=True)
class DailyFiles:
    """What one import's files hold.

    Parameters
    ----------
    bars : list of pl.DataFrame
        ``date, symbol, open, high, low, close, volume``; decimals, null where a field is empty.
    adjusted : list of pl.DataFrame
        ``date, symbol, close, adj_close`` as floats: ratios of them are used, never the prices.
    sectors, sub_industries : dict
        Symbol -> name.
    factors : dict
        Symbol -> ``date, price_factor, split_factor, reference``, by date.

    """

    bars: list[pl.DataFrame] = field(default_factory=list)
    adjusted: list[pl.DataFrame] = field(default_factory=list)
    sectors: dict[str, str] = field(default_factory=dict)
    sub_industries: dict[str, str] = field(default_factory=dict)
    factors: dict[str, pl.DataFrame] = field(default_factory=dict)


def read_daily_files(files: Sequence[Path]) -> DailyFiles:
    """Read every file by what it holds.

    Raises
    ------
    DataError
        A file is none of the known kinds, or is damaged; with file and, for text, line.

    """
    found = DailyFiles()
    for path in files:
        if path.suffix in (".parquet", ".pq"):
            _take_table(found, _parquet(path), path.name)
            continue
        source = open_source(path)
        first = source.data.lstrip(b"\xef\xbb\xbf").split(b"\n", 1)[0].decode("utf-8", errors="replace").strip()
        symbol = path.name.split(".")[0].upper()
        if first[:8].isdigit() and first.count(",") == len(_LEAN_COLUMNS) - 1:
            found.bars.append(_lean_bars(source, symbol))
        elif first[:8].isdigit() and first.count(",") == len(_FACTOR_COLUMNS) - 1:
            found.factors[symbol] = _factors(source)
        else:
            _take_table(found, _csv(source), source.where)
    return found


def _parquet(path: Path) -> pl.DataFrame:
    try:
        return pl.read_parquet(path)
    except (pl.exceptions.PolarsError, OSError) as error:
        reason = str(error).partition("\n")[0]
        raise DataError(
            f"{path.name} can't be read as Parquet: {reason}", expected="a complete Parquet file"
        ) from error


def _csv(source: Source) -> pl.DataFrame:
    try:
        return pl.read_csv(source.data, infer_schema=False)
    except pl.exceptions.PolarsError as error:
        reason = str(error).partition("\n")[0]
        raise DataError(f"{source.where} can't be read as CSV: {reason}", expected="CSV text with a header") from error


def _take_table(found: DailyFiles, table: pl.DataFrame, where: str) -> None:
    """Sort a table with headers into bars, adjusted closes or sectors."""
    table = table.rename({name: name.strip().lower().replace(" ", "_") for name in table.columns})
    names = set(table.columns)
    sector = next((name for name in ("gics_sector", "sector") if name in names), "")
    if not table.height:
        raise DataError(f"{where} holds no rows", expected="at least one", next_step="fetch the file again")
    if names >= set(BAR_COLUMNS):
        columns = [_decimals(table[name], where) for name in (*PRICES, "volume")]
        found.bars.append(pl.DataFrame([_dates(table["date"], where), _symbols(table["symbol"], where), *columns]))
    elif names >= {"date", "symbol", "close", "adj_close"}:
        floats = table.select(pl.col("close", "adj_close").cast(pl.Float64, strict=False)).get_columns()
        found.adjusted.append(pl.DataFrame([_dates(table["date"], where), _symbols(table["symbol"], where), *floats]))
    elif "symbol" in names and sector:
        rows = table.select(pl.col("symbol").cast(pl.String), pl.col(sector).cast(pl.String)).drop_nulls()
        found.sectors |= dict(rows.iter_rows())
        finer = next((name for name in ("gics_sub_industry", "sub_industry") if name in names), "")
        if finer:
            rows = table.select(pl.col("symbol", finer).cast(pl.String)).drop_nulls().filter(pl.col(finer) != "")
            found.sub_industries |= dict(rows.iter_rows())
    else:
        raise DataError(
            f"{where} has columns {', '.join(table.columns[:8])}",
            expected="date, symbol, open, high, low, close, volume; or date, symbol, close, adj_close; or symbol, "
            "gics_sector; or LEAN bars or factors without header",
            next_step="check that the files have daily bars; for one instrument with other columns use `bars`",
        )


def _symbols(values: pl.Series, where: str) -> pl.Series:
    symbols = values.cast(pl.String).str.strip_chars()
    bad = symbols.is_null() | ~symbols.fill_null("").str.contains(r"^[A-Za-z0-9][A-Za-z0-9._/-]{0,20}$")
    if bad.any():
        row = bad.arg_true()[0]
        raise DataError(f"{where} row {row + 1}: symbol is {symbols[row]!r}", expected="a ticker such as BRK.B")
    return symbols


def _dates(values: pl.Series, where: str) -> pl.Series:
    if values.dtype == pl.String:
        parsed = values.str.to_date("%Y-%m-%d", strict=False)
    else:
        parsed = (
            values.cast(pl.Date, strict=False) if values.dtype in (pl.Date, pl.Datetime) else values.clear(values.len())
        )
    if parsed.null_count():
        row = parsed.is_null().arg_true()[0]
        raise DataError(f"{where} row {row + 1}: date is {values[row]!r}", expected="yyyy-mm-dd")
    return parsed


def _decimals(values: pl.Series, where: str) -> pl.Series:
    if values.dtype == pl.String:
        text = values.str.strip_chars()
        text = text.to_frame().select(pl.when(pl.col(values.name) != "").then(values.name)).to_series()
        exact = text.cast(DECIMAL, strict=False)
        wrong = exact.is_null() & text.is_not_null()
        if wrong.any():
            row = wrong.arg_true()[0]
            raise DataError(
                f"{where} line {row + 2}: {values.name} is {values[row][:60]!r}",
                expected="a decimal number, or nothing",
                next_step="mend or remove the line",
            )
        return exact
    if not values.dtype.is_numeric():
        raise DataError(f"{where}: column {values.name} holds {values.dtype}", expected="numbers")
    return decimal_column(values.fill_nan(None) if values.dtype.is_float() else values)


def _lean_bars(source: Source, symbol: str) -> pl.DataFrame:
    rows = read_csv(source, _LEAN_COLUMNS)
    dates = rows["date"].str.to_date("%Y%m%d %H:%M", strict=False)
    if dates.null_count():
        row = dates.is_null().arg_true()[0]
        raise DataError(f"{source.where} line {row + 1}: date is {rows['date'][row]!r}", expected="20210331 00:00")
    prices = (pl.col(*PRICES).cast(DECIMAL) / pl.lit(LEAN_UNITS, DECIMAL)).cast(DECIMAL)
    return rows.select(dates, pl.lit(symbol).alias("symbol"), prices, pl.col("volume").cast(DECIMAL))


def _factors(source: Source) -> pl.DataFrame:
    rows = read_csv(source, _FACTOR_COLUMNS)
    dates = rows["date"].cast(pl.String).str.to_date("%Y%m%d", strict=False)
    factors = pl.min_horizontal("price_factor", "split_factor")
    bad = dates.is_null() | rows.select(factors <= 0).to_series()
    if bad.any():
        row = bad.arg_true()[0]
        raise DataError(
            f"{source.where} line {row + 1} is no factor line",
            expected="date as yyyymmdd, positive price factor, positive split factor, reference price",
            next_step="mend or remove the line",
        )
    return rows.with_columns(dates).sort("date")
