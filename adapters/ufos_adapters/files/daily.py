"""Daily bars of many equities: long tables (date, symbol, OHLCV), or LEAN's daily zips with their factor files.

Files are told apart by what they hold. Beside the bars there may be adjusted closes (``date, symbol, close,
adj_close``: dividends and a check of large moves come from them), sectors (``symbol, gics_sector``) and LEAN factor
files. A bar is stamped at the close of its day, 16:00 New York time with daylight saving; early closes are not known.

Where adjusted closes are given, spin-offs and splits that the bars are not adjusted for are found as distributions:
what a holder was given, in cash at its value. Closes on which the two sources disagree for a day are kept and counted.

Options: ``venue`` (default XNAS; one name for all), ``close_time`` (default 16:00), ``tz`` (default America/New_York),
``adjust`` (LEAN only: ``none``, ``splits`` or ``all``: by the factor files; default none). Dividends, distributions and
splits are facts of the import, ``symbol -> [[date, amount], ...]``, in the units of the raw bars; sub-industries are
``symbol -> name``.
"""

import datetime as dt
from collections.abc import Iterator, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

import polars as pl

from ufos_adapters.files import sources
from ufos_adapters.files.corporate_actions import (
    ACTIONS,
    actions_from_factors,
    adjust,
    as_fact,
    distributions_from_closes,
    dividends_from_adjusted,
)
from ufos_adapters.files.daily_tables import PRICES, DailyFiles, read_daily_files
from ufos_nautilus import limits
from ufos_nautilus.errors import DataError, LimitExceededError, SpecError
from ufos_nautilus.market.instruments import InstrumentSpec
from ufos_nautilus.market.recording import Batch, ReadOptions, Recording
from ufos_nautilus.market.tables import SCHEMAS

LARGE_MOVE: Final = 0.35
"""A day's move (or its disagreement with the adjusted close) from which on a split or a bad price is suspected."""
CENT: Final = Decimal("0.01")
FINEST: Final = Decimal("0.0001")
"""Finest price step of a US equity; finer source values come from adjusting and are rounded to it."""
_FINEST_DECIMALS: Final = 4


def read(files: Sequence[Path], options: ReadOptions) -> Recording:
    """Read daily bars of any number of symbols.

    Parameters
    ----------
    files : sequence of Path
        Bars and what goes with them, in any order.
    options : ReadOptions
        `instrument_id` where there is one symbol. Without `tick_size` a symbol's tick is a cent; adjusted
        prices may have four decimals.

    Returns
    -------
    Recording
        1-DAY-LAST bars, one batch a symbol. Missing and broken bars are dropped; zero volume and suspicious moves are
        kept and counted.

    Raises
    ------
    DataError
        A file is not what it should be, or no bar is left.
    SpecError
        An option can't be used.

    """
    extra = sources.check_options(options, "daily", ("venue", "close_time", "tz", "adjust"))
    if extra.get("adjust", "none") not in ("none", "splits", "all"):
        raise SpecError(f"option adjust is {extra['adjust']!r}", expected="none | splits | all")
    found = read_daily_files(files)
    recording = Recording(instruments=[], batches=iter(()))
    defects = sources.DefectLog(recording.defects)
    if not found.bars:
        raise DataError("the files hold no bars", expected="a table with date, symbol, open, high, low, close, volume")
    rows = pl.concat(found.bars)
    if rows.height > limits.BARS_IMPORT_ROWS_MAX:
        raise LimitExceededError(
            f"{rows.height:,} rows", expected=f"at most {limits.BARS_IMPORT_ROWS_MAX:,} in one import"
        )
    recording.facts["rows"] = rows.height
    if options.progress:
        options.progress(rows.height)
    rows = _clean(rows.sort("symbol", "date", maintain_order=True), defects)
    rows = _corporate_actions(rows, found, extra.get("adjust", "none"), defects, recording.facts)
    _check_moves(rows, found, defects)
    rows = _rounded(rows, options, defects).with_columns(_close_times(rows, extra))
    specs = _instruments(rows, found.sectors, extra.get("venue", "XNAS"), options)
    recording.instruments = list(specs.values())
    if found.sub_industries:
        recording.facts["sub_industries"] = {s: name for s, name in found.sub_industries.items() if s in specs}
    recording.facts |= {
        "symbols": len(specs),
        "without_sector": sum(not spec.sector for spec in specs.values()) if found.sectors else len(specs),
    }
    recording.batches = _batches(rows, specs)
    return recording


def _log(rows: pl.DataFrame, code: str, action: str, defects: sources.DefectLog) -> None:
    shown = rows.head(limits.DEFECT_EXAMPLES_MAX).select("symbol", pl.col("date").cast(pl.String))
    defects.add(code, rows.height, action, (f"{symbol} {date}" for symbol, date in shown.iter_rows()))


def _clean(rows: pl.DataFrame, defects: sources.DefectLog) -> pl.DataFrame:
    """Drop what is no bar."""
    op, hi, lo, cl = (pl.col(price) for price in PRICES)
    steps = {
        "missing_price": pl.any_horizontal(pl.col(*PRICES).is_null()),
        "broken_bar": (lo <= 0)
        | (lo > op)
        | (lo > cl)
        | (hi < op)
        | (hi < cl)
        | (pl.col("volume") < 0).fill_null(False),
        "duplicate_date": ~pl.struct("symbol", "date").is_first_distinct(),
    }
    for code, bad in steps.items():
        found = rows.filter(bad)
        _log(found, code, "dropped", defects)
        rows = rows.filter(~bad) if found.height else rows
    _log(rows.filter(pl.col("volume").is_null()), "missing_volume", "repaired: 0", defects)
    rows = rows.with_columns(pl.col("volume").fill_null(0))
    _log(rows.filter(pl.col("volume") == 0), "zero_volume", "kept", defects)
    if not rows.height:
        raise DataError("no usable bar is left", next_step="check that the files hold daily bars")
    return rows


def _corporate_actions(
    rows: pl.DataFrame, found: DailyFiles, how: str, defects: sources.DefectLog, facts: dict[str, Any]
) -> pl.DataFrame:
    """Find dividends and splits, and adjust LEAN's raw bars where asked to."""
    dividends, splits = [pl.DataFrame(schema=ACTIONS)], [pl.DataFrame(schema=ACTIONS)]
    if found.adjusted:
        known = pl.concat(found.adjusted)
        usable = known.drop_nulls().filter(pl.min_horizontal("close", "adj_close") > 0).unique(["symbol", "date"])
        _log(
            known.filter(pl.any_horizontal(pl.col("close", "adj_close").is_null())),
            "empty_adjustment",
            "dropped",
            defects,
        )
        given, passing = distributions_from_closes(usable, rows)
        _log(given, "spin_off", "fact: paid in cash at its value", defects)
        _log(passing, "close_disagrees", "kept", defects)
        facts["distributions"] = as_fact(given)
        paid = dividends_from_adjusted(usable, rows)
        # A dividend of more than half a spin-off of the same day is the spin-off counted again.
        doubled = paid.join(given.rename({"amount": "given"}), on=["date", "symbol"])
        doubled = doubled.filter(pl.col("amount") * 2 > pl.col("given")).select(*ACTIONS)
        _log(doubled, "doubled_spin_off", "dropped: no dividend", defects)
        dividends.append(paid.join(doubled, on=["date", "symbol"], how="anti"))
        found.adjusted = [usable]
    parts = []
    for (symbol,), own in rows.partition_by("symbol", as_dict=True, maintain_order=True).items():
        factors = found.factors.get(str(symbol))
        if factors is None:
            if how != "none":
                raise SpecError(f"{symbol} has no factor file", expected=f"{str(symbol).lower()}.csv for adjust={how}")
            parts.append(own)
            continue
        # The first line is the listing; a symbol's earlier bars are of another security.
        before = pl.col("date") < factors["date"][0]
        _log(own.filter(before), "before_listing", "dropped", defects)
        own = own.filter(~before)
        paid, split = actions_from_factors(factors, own)
        dividends.append(paid)
        splits.append(split)
        parts.append(own if how == "none" else adjust(own, factors, dividends=how == "all"))
    if lonely := sorted(set(found.factors) - set(rows["symbol"].unique())):
        raise SpecError(f"a factor file for {lonely[0]}, but no bars", expected="factor files of the bars given")
    facts["dividends"] = as_fact(pl.concat(dividends))
    facts["splits"] = as_fact(pl.concat(splits))
    return pl.concat(parts)


def _check_moves(rows: pl.DataFrame, found: DailyFiles, defects: sources.DefectLog) -> None:
    """Count moves that look like unadjusted splits: against the adjusted close where there is one, else by size."""
    moves = rows.select("date", "symbol", pl.col("close").cast(pl.Float64)).with_columns(
        (pl.col("close") / pl.col("close").shift(1)).over("symbol").alias("move")
    )
    if found.adjusted:
        truth = pl.concat(found.adjusted).select("date", "symbol", "adj_close")
        moves = moves.join(truth, on=["date", "symbol"], how="left", maintain_order="left")
        moves = moves.with_columns((pl.col("adj_close") / pl.col("adj_close").shift(1)).over("symbol").alias("true"))
    else:
        moves = moves.with_columns(pl.lit(None, pl.Float64).alias("true"))
    disagree = (pl.col("move") / pl.col("true") - 1).abs() > LARGE_MOVE
    unknown = pl.col("true").is_null() & ((pl.col("move") - 1).abs() > LARGE_MOVE)
    _log(moves.filter(disagree), "unadjusted_move", "kept", defects)
    _log(moves.filter(unknown), "large_move", "kept", defects)


def _rounded(rows: pl.DataFrame, options: ReadOptions, defects: sources.DefectLog) -> pl.DataFrame:
    if options.tick_size:
        tick = sources.decimal_option("tick size", options.tick_size)
        off = rows.filter(pl.any_horizontal((pl.col(price) % pl.lit(tick)) != 0 for price in PRICES))
        if off.height:
            prices = ", ".join(f"{off[price][0].normalize():f}" for price in PRICES)
            raise DataError(
                f"{off['symbol'][0]} {off['date'][0]}: {prices} are off the tick grid of {tick} ({off.height:,} bars)",
                expected=f"multiples of {tick}",
                next_step="give the right tick size, or none to have it found",
            )
        return rows
    finer = pl.any_horizontal((pl.col(price) % pl.lit(FINEST)) != 0 for price in PRICES)
    _log(rows.filter(finer), "finer_than_tick", f"repaired: rounded to {FINEST}", defects)
    return rows.with_columns(pl.col(*PRICES).round(_FINEST_DECIMALS))


def _close_times(rows: pl.DataFrame, extra: dict[str, str]) -> pl.Series:
    text = extra.get("close_time", "16:00")
    try:
        close = dt.time.fromisoformat(text)
    except ValueError as error:
        raise SpecError(f"close_time is {text!r}", expected="hh:mm") from error
    local = rows["date"].to_frame().select(pl.col("date").dt.combine(close, time_unit="ns")).to_series()
    return sources.to_utc(local, extra.get("tz", "America/New_York"), "daily bars").alias("ts")


def _instruments(
    rows: pl.DataFrame, sectors: dict[str, str], venue: str, options: ReadOptions
) -> dict[str, InstrumentSpec]:
    off = pl.any_horizontal((pl.col(price) % pl.lit(CENT)) != 0 for price in PRICES).any()
    ticks = rows.group_by("symbol", maintain_order=True).agg(off.alias("off"))
    if options.instrument_id and ticks.height > 1:
        raise SpecError(f"one instrument id for {ticks.height} symbols", expected="bars of one symbol")
    specs: dict[str, InstrumentSpec] = {}
    for symbol, is_off in ticks.iter_rows():
        tick = Decimal(options.tick_size) if options.tick_size else CENT
        name = options.instrument_id or f"{symbol}.{venue}"
        finest = FINEST if is_off else None
        specs[symbol] = sources.equity(name, tick, options, sector=sectors.get(symbol, ""), finest=finest)
    return specs


def _batches(rows: pl.DataFrame, specs: dict[str, InstrumentSpec]) -> Iterator[Batch]:
    table = rows.with_columns(ts_event="ts", ts_init="ts")
    for (symbol,), own in table.partition_by("symbol", as_dict=True, maintain_order=True).items():
        instrument_id = specs[str(symbol)].instrument_id
        frame = own.select(SCHEMAS["bars"].keys())
        yield Batch("bars", f"{instrument_id}-1-DAY-LAST-EXTERNAL", instrument_id, frame)
