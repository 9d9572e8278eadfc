"""Bars and ticks from text and Parquet files, as exact decimals and UTC times."""

import io
from pathlib import Path
from typing import Final

import polars as pl

from ufos_adapters.files.bars_plan import COLUMNS, TIME_NAMES, Plan
from ufos_adapters.files.sources import Source, open_source, to_utc
from ufos_nautilus.errors import DataError, SpecError
from ufos_nautilus.market.tables import DECIMAL, decimal_column, utc_ns

FORMATS: Final = (
    "%Y-%m-%d %H:%M:%S%.f%z",
    "%Y-%m-%d %H:%M:%S%.f",
    "%Y-%m-%d %H:%M%z",
    "%Y-%m-%d %H:%M",
    "%Y-%m-%d",
    "%Y%m%d %H:%M",
    "%Y%m%d",
)
"""Time formats tried in this order; ISO's ``T`` and ``Z`` are translated first."""
EPOCHS: Final = {"s": 1_000_000_000, "ms": 1_000_000, "us": 1_000, "ns": 1}
"""Time formats that count from 1970 -> nanoseconds."""


def read_file(path: Path, plan: Plan) -> pl.DataFrame:
    """Read one file into ``line, ts`` and the plan's columns as decimals, null where a field is empty.

    Optional columns that the file lacks are left out.

    Raises
    ------
    DataError
        Not readable as the plan says; with file and line.

    """
    if path.suffix in (".parquet", ".pq"):
        raw, where, first = _read_parquet(path), path.name, 1
    else:
        source = open_source(path)
        raw, where, first = _read_text(source, plan), source.where, 2 if plan.header else 1
    raw = _select(raw, plan, where)
    if not raw.height:
        raise DataError(f"{where} holds no rows", expected="at least one", next_step="fetch the file again")
    lines = pl.Series("line", range(first, first + raw.height), dtype=pl.UInt32)
    columns = [_number(raw[name], where, first) for name in raw.columns if name != "time"]
    return pl.DataFrame([lines, _times(raw["time"], plan, where, first), *columns])


def _read_parquet(path: Path) -> pl.DataFrame:
    try:
        return pl.read_parquet(path)
    except (pl.exceptions.PolarsError, OSError) as error:
        raise DataError(
            f"{path.name} can't be read as Parquet: {str(error).partition(chr(10))[0]}",
            expected="a complete Parquet file",
        ) from error


def _read_text(source: Source, plan: Plan) -> pl.DataFrame:
    separator = plan.get("separator", ",")
    try:
        return pl.read_csv(source.data, has_header=plan.header, separator=separator, infer_schema=False)
    except pl.exceptions.PolarsError as error:
        fields = 0
        for number, line in enumerate(io.BytesIO(source.data), 1):
            count = line.count(separator.encode()) + 1
            fields = fields or count
            if count > fields:
                raise DataError(
                    f"{source.where} line {number} has {count} fields",
                    expected=f"{fields}, as in line 1",
                    next_step="mend or remove the line",
                ) from error
        raise DataError(
            f"{source.where} can't be read as CSV: {str(error).partition(chr(10))[0]}", expected="CSV text"
        ) from error


def _select(raw: pl.DataFrame, plan: Plan, where: str) -> pl.DataFrame:
    """Give the columns our names; headers are compared without regard to case."""
    must, may = COLUMNS[plan.layout]
    if plan.header:
        present = {name.strip().lower(): name for name in raw.columns}
    else:
        present = {str(n): name for n, name in enumerate(raw.columns, 1)}
    found: dict[str, str] = {}
    for name in ("time", *must, *may):
        wanted = (
            [plan.columns[name].lower()] if name in plan.columns else list(TIME_NAMES) if name == "time" else [name]
        )
        match = next((present[w] for w in wanted if w in present), None)
        if match is not None:
            found[name] = match
        elif name not in may or name in plan.columns:
            raise DataError(
                f"{where} has no column for {name} ({' or '.join(wanted)})",
                expected=f"it has {', '.join(present)}",
                next_step=f"add --option {name}=COLUMN, or check that the file has this format",
            )
    return raw.select(pl.col(column).alias(name) for name, column in found.items())


def _number(values: pl.Series, where: str, first: int) -> pl.Series:
    if values.dtype == pl.String:
        values = values.str.strip_chars()
        values = values.set(values == "", None) if (values == "").any() else values
        exact = values.cast(DECIMAL, strict=False)
        wrong = exact.is_null() & values.is_not_null()
        if wrong.any():
            row = wrong.arg_true()[0]
            raise DataError(
                f"{where} line {row + first}: {values.name} is {values[row][:60]!r}",
                expected="a decimal number",
                next_step="check that the file has this format, or mend or remove the line",
            )
        return exact
    if not values.dtype.is_numeric():
        raise DataError(f"{where}: column {values.name} holds {values.dtype}", expected="numbers")
    # NaN in a float column is an empty field.
    return decimal_column(values.fill_nan(None) if values.dtype.is_float() else values)


def _times(values: pl.Series, plan: Plan, where: str, first: int) -> pl.Series:
    """Parse times into UTC; a time without an offset is of the plan's zone."""
    if values.dtype in (pl.Date, pl.Datetime):
        zone = getattr(values.dtype, "time_zone", None)
        parsed = utc_ns(values) if zone else to_utc(values.cast(pl.Datetime("ns")), plan.zone, where)
        return parsed.alias("ts")
    if (epoch := EPOCHS.get(plan.get("time_format"))) is not None:
        whole = values.cast(pl.Int64, strict=False)
        _refuse_bad_time(whole, values, where, first)
        return utc_ns(whole * epoch).alias("ts")
    if values.dtype != pl.String:
        raise DataError(
            f"{where}: times are {values.dtype}", expected="text", next_step="add --option time_format=s|ms|us|ns"
        )
    text = values.str.strip_chars().str.replace("T", " ", literal=True).str.replace(r"Z$", "+00:00")
    form = plan.get("time_format") or _find_format(text, where)
    try:
        parsed = text.str.to_datetime(form, time_unit="ns", strict=False)
    except pl.exceptions.PolarsError as error:
        raise SpecError(f"time format {form!r}: {error}", expected="a format such as %Y-%m-%d %H:%M:%S") from error
    _refuse_bad_time(parsed, values, where, first)
    aware = getattr(parsed.dtype, "time_zone", None)
    return (utc_ns(parsed) if aware else to_utc(parsed, plan.zone, where)).alias("ts")


def _find_format(text: pl.Series, where: str) -> str:
    head = text.drop_nulls().head(1)
    for form in FORMATS:
        if head.str.to_datetime(form, time_unit="ns", strict=False).drop_nulls().len():
            return form
    raise DataError(
        f"{where}: the time {head[0] if head.len() else ''!r} is in no known format",
        expected="for example 2024-08-09 00:05:00",
        next_step="add --option time_format=FORMAT (strptime's letters, or s, ms, us, ns)",
    )


def _refuse_bad_time(parsed: pl.Series, values: pl.Series, where: str, first: int) -> None:
    if parsed.null_count():
        row = parsed.is_null().arg_true()[0]
        raise DataError(
            f"{where} line {row + first}: time is {values[row]!r}",
            expected="a time in the format of the first line, or of the option time_format",
            next_step="mend or remove the line",
        )
