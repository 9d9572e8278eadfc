"""LEAN equity ticks: NBBO updates and trades, one zip a day and kind, New York time, prices in 1/10,000 dollar.

Each quote row carries one side of the national best bid and offer. Suspicious rows are dropped, sides carried forward
and aggressors of trades inferred (see `nbbo`). The venue of the instrument id names no exchange: the NBBO is of all.

Options: ``venue`` (default XNAS).
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

import polars as pl

from ufos_adapters.files import sources
from ufos_adapters.files.nbbo import carry_forward, infer_aggressors
from ufos_nautilus.errors import DataError, SpecError
from ufos_nautilus.limits import DEFECT_EXAMPLES_MAX, SOURCE_BATCH_ROWS
from ufos_nautilus.market.instruments import InstrumentSpec
from ufos_nautilus.market.recording import Batch, ReadOptions, Recording, TableKind
from ufos_nautilus.market.tables import DECIMAL, SCHEMAS

NEW_YORK: Final = "America/New_York"
UNITS: Final = 10_000
"""Price units in one dollar."""
CENT: Final = 100
"""Price units in one cent."""
DAY_MS: Final = 86_400_000
_WHOLE: Final = pl.Int64()
_LABELS: Final[dict[str, pl.DataType]] = {"exchange": pl.String(), "condition": pl.String()}
QUOTE_COLUMNS: Final[dict[str, pl.DataType]] = {
    **dict.fromkeys(("time", "bid", "bid_size", "ask", "ask_size"), _WHOLE),
    **_LABELS,
    "suspicious": _WHOLE,
}
TRADE_COLUMNS: Final[dict[str, pl.DataType]] = {
    **dict.fromkeys(("time", "price", "size"), _WHOLE),
    **_LABELS,
    "suspicious": _WHOLE,
}


@dataclass(slots=True)
class _Day:
    """The files of one symbol and day."""

    quote: Path | None = None
    trade: Path | None = None


def read(files: Sequence[Path], options: ReadOptions) -> Recording:
    """Read LEAN quote and trade zips of any number of symbols and days.

    Parameters
    ----------
    files : sequence of Path
        ``yyyymmdd_quote.zip`` and ``yyyymmdd_trade.zip``; the symbol stands in the CSV's name or is the folder's.
    options : ReadOptions
        `instrument_id` where there is one symbol. Without `tick_size` the tick is a cent if every quote is a whole
        number of cents, else 0.0001.

    Returns
    -------
    Recording
        Quotes, then trades, day by day; facts count rows, crossed and locked quotes, and how aggressors were found.

    Raises
    ------
    DataError
        A file is not what it should be; with file and line.
    SpecError
        An option can't be used.

    """
    extra = sources.check_options(options, "lean-ticks", ("venue",))
    days = _by_symbol(files)
    if options.instrument_id and len(days) > 1:
        raise SpecError(
            f"one instrument id for {len(days)} symbols: {', '.join(sorted(days))}",
            expected="files of one symbol",
            next_step="import each symbol by itself, or leave the id out",
        )
    specs = {
        symbol: _instrument(options.instrument_id or f"{symbol}.{extra.get('venue', 'XNAS')}", days[symbol], options)
        for symbol in sorted(days)
    }
    recording = Recording(instruments=list(specs.values()), batches=iter(()))
    recording.batches = _batches(days, specs, _Cleaner(recording, options))
    return recording


def _by_symbol(files: Sequence[Path]) -> dict[str, dict[str, _Day]]:
    """Sort the files into symbol -> ISO day -> quote and trade."""
    found: dict[str, dict[str, _Day]] = {}
    for path in files:
        kind = re.search(r"quote|trade", path.name.lower())
        if not kind:
            raise DataError(
                f"{path.name} is neither quotes nor trades", expected="names as 20131008_quote.zip, 20131008_trade.zip"
            )
        member = sources.member_name(path)
        day = sources.day_in_name(path, also=member).isoformat()
        named = re.fullmatch(r"\d{8}_([a-z0-9.]+)_(?:quote|trade)_tick\.csv", member.lower())
        symbol = (named[1] if named else path.absolute().parent.name).upper()
        entry = found.setdefault(symbol, {}).setdefault(day, _Day())
        if getattr(entry, kind[0]) is not None:
            raise DataError(f"{path.name}: a second {kind[0]} file of {symbol} for {day}", expected="one a day")
        setattr(entry, kind[0], path)
    return found


def _instrument(instrument_id: str, days: dict[str, _Day], options: ReadOptions) -> InstrumentSpec:
    """Build the equity; this parses every file once, so that a bad one is refused before any row is handed over."""
    finest = step = sources.step_in_units(options, CENT, UNITS)
    for path, columns in _paths(days):
        source = sources.open_source(path)
        rows = sources.read_csv(source, columns, optional=_LABELS).with_row_index("line", offset=1)
        for name in {"bid", "ask", "price"} & set(columns):
            if options.tick_size:
                sources.check_grid(rows, name, step, source.where)
            elif ((rows[name] % CENT) != 0).any():
                finest, step = 1, step if name == "price" else 1
    return sources.equity(instrument_id, Decimal(step) / UNITS, options, finest=Decimal(finest) / UNITS)


def _paths(days: dict[str, _Day]) -> Iterator[tuple[Path, dict[str, pl.DataType]]]:
    for _, day in sorted(days.items()):
        if day.quote:
            yield day.quote, QUOTE_COLUMNS
        if day.trade:
            yield day.trade, TRADE_COLUMNS


def _batches(days: dict[str, dict[str, _Day]], specs: dict[str, InstrumentSpec], clean: "_Cleaner") -> Iterator[Batch]:
    for symbol, spec in specs.items():
        instrument_id = spec.instrument_id
        for day, files in sorted(days[symbol].items()):
            nbbo = None
            if files.quote:
                nbbo = clean.quotes(files.quote)
                for piece in _quote_table(nbbo, day):
                    yield Batch("quotes", instrument_id, instrument_id, piece)
            if files.trade:
                for piece in _trade_table(clean.trades(files.trade, nbbo), day):
                    yield Batch("trades", instrument_id, instrument_id, piece)


class _Cleaner:
    """Reads one file at a time, drops what can't be used and counts it."""

    def __init__(self, recording: Recording, options: ReadOptions) -> None:
        self.defects = sources.DefectLog(recording.defects)
        self.facts: dict[str, Any] = recording.facts
        self.progress = options.progress

    def quotes(self, path: Path) -> pl.DataFrame:
        """Return two-sided quotes in whole price units."""
        rows = self._rows(path, QUOTE_COLUMNS)
        rows = self._drop(rows, pl.min_horizontal("bid", "ask", "bid_size", "ask_size") < 0, "negative", path)
        rows = self._drop(rows, (pl.col("bid") == 0) & (pl.col("ask") == 0), "quote_without_price", path)
        nbbo = carry_forward(rows)
        self._count("quotes", nbbo.height)
        for word, is_so in (("crossed", pl.col("bid") > pl.col("ask")), ("locked", pl.col("bid") == pl.col("ask"))):
            lines = nbbo.filter(is_so)["line"]
            self._count(word, lines.len())
            self.defects.add(f"{word}_nbbo", lines.len(), "kept", _places(path, lines))
        return nbbo

    def trades(self, path: Path, nbbo: pl.DataFrame | None) -> pl.DataFrame:
        """Return trades with aggressor, in whole price units."""
        rows = self._rows(path, TRADE_COLUMNS)
        rows = self._drop(rows, pl.min_horizontal("price", "size") <= 0, "trade_without_price_or_size", path)
        trades = infer_aggressors(rows, nbbo)
        self._count("trades", trades.height)
        for rule, count in sorted(trades["rule"].value_counts().iter_rows()):
            self._count(f"aggressor_{rule}", count)
        return trades

    def _rows(self, path: Path, columns: dict[str, pl.DataType]) -> pl.DataFrame:
        source = sources.open_source(path)
        rows = sources.read_csv(source, columns, optional=_LABELS).with_row_index("line", offset=1)
        outside = rows.filter((pl.col("time") < 0) | (pl.col("time") >= DAY_MS))
        if outside.height:
            raise DataError(
                f"{source.where} line {outside['line'][0]}: time is {outside['time'][0]}",
                expected="milliseconds after midnight",
                next_step="mend or remove the line",
            )
        self._count("rows", rows.height)
        if self.progress:
            self.progress(rows.height)
        rows = self._drop(rows, pl.col("suspicious") != 0, "suspicious", path)
        backwards = rows.filter(pl.col("time").diff() < 0)["line"]
        self.defects.add("time_backwards", backwards.len(), "repaired: sorted by time", _places(path, backwards))
        return rows.sort("time", maintain_order=True) if backwards.len() else rows

    def _drop(self, rows: pl.DataFrame, bad: pl.Expr, code: str, path: Path) -> pl.DataFrame:
        lines = rows.filter(bad)["line"]
        self.defects.add(code, lines.len(), "dropped", _places(path, lines))
        return rows.filter(~bad) if lines.len() else rows

    def _count(self, name: str, rows: int) -> None:
        self.facts[name] = self.facts.get(name, 0) + rows


def _places(path: Path, lines: pl.Series) -> list[str]:
    return [f"{path.parent.name}/{path.name} line {line}" for line in lines.head(DEFECT_EXAMPLES_MAX)]


def _dollars(name: str, column: str) -> pl.Expr:
    return (pl.col(column).cast(DECIMAL) / pl.lit(UNITS, DECIMAL)).cast(DECIMAL).alias(name)


def _finish(frame: pl.DataFrame, day: str, kind: TableKind) -> Iterator[pl.DataFrame]:
    local = frame.select(pl.lit(day).str.to_datetime("%Y-%m-%d", time_unit="ns") + pl.duration(milliseconds="time"))
    stamp = sources.to_utc(local.to_series(), NEW_YORK, day)
    table = frame.with_columns(ts_event=stamp, ts_init=stamp).select(SCHEMAS[kind].keys())
    yield from table.iter_slices(SOURCE_BATCH_ROWS)


def _quote_table(nbbo: pl.DataFrame, day: str) -> Iterator[pl.DataFrame]:
    table = nbbo.with_columns(
        _dollars("bid_price", "bid"),
        _dollars("ask_price", "ask"),
        pl.col("bid_size", "ask_size").cast(DECIMAL),
    )
    return _finish(table, day, "quotes")


def _trade_table(trades: pl.DataFrame, day: str) -> Iterator[pl.DataFrame]:
    number = pl.format("{}-{}", pl.lit(day.replace("-", "")), pl.col("line"))
    table = trades.with_columns(_dollars("price", "price"), pl.col("size").cast(DECIMAL), number.alias("trade_id"))
    return _finish(table, day, "trades")
