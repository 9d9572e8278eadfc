"""What the file readers share: opening sources, strict CSV, local times, options and defect counts."""

import datetime as dt
import gzip
import io
import re
import zipfile
import zlib
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Final

import polars as pl

from ufos_nautilus import limits
from ufos_nautilus.errors import DataError, LimitExceededError, SpecError
from ufos_nautilus.market.instruments import InstrumentSpec
from ufos_nautilus.market.recording import Defect, ReadOptions
from ufos_nautilus.market.tables import decimals

_DAY: Final = re.compile(r"(?<!\d)(\d{4})-?(\d{2})-?(\d{2})(?!\d)")


@dataclass(frozen=True, slots=True)
class Source:
    """The whole text of one file, or of one member of a zip archive."""

    path: Path
    member: str
    data: bytes

    @property
    def where(self) -> str:
        """Return the file (and member) as error messages name it."""
        return f"{self.path.name}:{self.member}" if self.member else self.path.name


def open_source(path: Path) -> Source:
    """Read a plain file, a ``.gz`` file or a ``.zip`` archive with one file in it.

    Raises
    ------
    DataError
        The file is missing, empty, truncated or no such archive.
    LimitExceededError
        It is longer than `limits.SOURCE_BYTES_MAX` when unpacked.

    """
    try:
        if path.suffix == ".zip":
            source = _unzip(path)
        elif path.suffix == ".gz":
            with gzip.open(path) as packed:
                source = Source(path, "", packed.read(limits.SOURCE_BYTES_MAX + 1))
        else:
            with path.open("rb") as plain:
                source = Source(path, "", plain.read(limits.SOURCE_BYTES_MAX + 1))
    except (EOFError, zlib.error, gzip.BadGzipFile, zipfile.BadZipFile, RuntimeError) as error:
        # zipfile raises RuntimeError for archives with a password or an unknown compression.
        raise DataError(
            f"{path.name} is truncated or no readable {path.suffix} archive: {error}", next_step="fetch the file again"
        ) from error
    except OSError as error:
        raise DataError(f"{path} can't be read: {error.strerror or error}", expected="a readable file") from error
    if len(source.data) > limits.SOURCE_BYTES_MAX:
        raise LimitExceededError(
            f"{source.where} is longer than {limits.SOURCE_BYTES_MAX:,} bytes when unpacked",
            expected="smaller files",
            next_step="split it by day",
        )
    if not source.data.strip():
        raise DataError(f"{source.where} is empty", expected="at least one row", next_step="fetch the file again")
    return source


def _unzip(path: Path) -> Source:
    with zipfile.ZipFile(path) as archive:
        names = [name for name in archive.namelist() if not name.endswith("/")]
        if len(names) != 1:
            raise DataError(f"{path.name} holds {len(names)} files", expected="an archive with one CSV file")
        with archive.open(names[0]) as packed:
            return Source(path, names[0], packed.read(limits.SOURCE_BYTES_MAX + 1))


def member_name(path: Path) -> str:
    """Return the name of the only file of a zip archive without unpacking it; empty for other files.

    Raises
    ------
    DataError
        The archive is damaged or missing.

    """
    if path.suffix != ".zip":
        return ""
    try:
        with zipfile.ZipFile(path) as archive:
            return next(iter(archive.namelist()), "")
    except (zipfile.BadZipFile, OSError) as error:
        raise DataError(
            f"{path.name} is truncated or no .zip archive: {error}", next_step="fetch the file again"
        ) from error


def read_csv(
    source: Source, schema: Mapping[str, pl.DataType], *, optional: Collection[str] = (), keep: Collection[str] = ()
) -> pl.DataFrame:
    """Parse CSV without header strictly: every row has exactly the columns of `schema`.

    Parameters
    ----------
    source : Source
        The text.
    schema : mapping of str to pl.DataType
        Column -> type, in file order.
    optional : collection of str
        Columns that may be empty.
    keep : collection of str
        Columns to return; all where empty.

    Raises
    ------
    DataError
        With the file, the line and what is wrong in it.

    """
    failure = ""
    frame = pl.DataFrame()
    try:
        columns = [n for n, name in enumerate(schema) if name in keep] or None
        frame = pl.read_csv(source.data, has_header=False, schema=dict(schema), quote_char=None, columns=columns)
    except pl.exceptions.PolarsError as error:
        failure = str(error).partition("\n")[0]
    if not failure and not any(frame[name].null_count() for name in frame.columns if name not in optional):
        return frame
    raise _bad_line(source, schema, optional) or DataError(f"{source.where}: {failure or 'a field is empty'}")


def _bad_line(source: Source, schema: Mapping[str, pl.DataType], optional: Collection[str]) -> DataError | None:
    expected = ", ".join(schema)
    step = "check that the file has this format, or mend or remove the line"
    for number, raw in enumerate(io.BytesIO(source.data), 1):
        fields = raw.decode("utf-8", errors="replace").rstrip("\r\n").split(",")
        place = f"{source.where} line {number}"
        if len(fields) != len(schema):
            problem = f"{place} has {len(fields)} fields" if any(fields) else f"{place} is empty"
            return DataError(problem, expected=f"{len(schema)}: {expected}", next_step=step)
        for (name, dtype), text in zip(schema.items(), fields, strict=True):
            if (text == "" and name in optional) or dtype == pl.String():
                continue
            if pl.Series([text], dtype=pl.String).cast(dtype, strict=False).null_count():
                return DataError(
                    f"{place}: {name} is {text[:60]!r}",
                    expected=f"{'a whole number' if dtype.is_integer() else 'a number'} in {expected}",
                    next_step=step,
                )
    return None


def to_utc(local: pl.Series, zone: str, where: str) -> pl.Series:
    """Turn wall-clock times (Datetime without zone) of `zone` into Datetime(ns, UTC), with daylight saving.

    The first of two equal readings is meant where the clock is set back.

    Raises
    ------
    DataError
        A time was skipped when the clock was set forward.
    SpecError
        There is no such time zone.

    """
    naive = local.dt.cast_time_unit("ns")
    try:
        aware = naive.dt.replace_time_zone(zone, ambiguous="earliest", non_existent="null")
    except pl.exceptions.PolarsError as error:
        raise SpecError(
            f"there is no time zone {zone!r}", expected="a name such as America/New_York, UTC or Etc/GMT+5"
        ) from error
    if aware.null_count() > naive.null_count():
        skipped = naive.filter(aware.is_null() & naive.is_not_null())[0]
        raise DataError(f"{where}: {skipped} does not exist in {zone}: the clock was set forward")
    return aware.dt.convert_time_zone("UTC")


def day_in_name(path: Path, *, also: str = "") -> dt.date:
    """Return the day a file name carries as ``yyyymmdd`` or ``yyyy-mm-dd``.

    Raises
    ------
    DataError
        Neither the name nor `also` carries a day.

    """
    for text in (path.name, also):
        for match in _DAY.finditer(text):
            try:
                return dt.date(*(int(part) for part in match.groups()))
            except ValueError:
                continue
    raise DataError(
        f"{path.name}: the file name carries no day",
        expected="a name with yyyymmdd or yyyy-mm-dd; the times inside count from midnight",
        next_step="rename the file",
    )


def check_options(options: ReadOptions, reader: str, names: Collection[str]) -> dict[str, str]:
    """Return the reader's own options after refusing those it does not know.

    Raises
    ------
    SpecError
        An option means nothing to this reader.

    """
    for name in options.extra:
        if name not in names:
            raise SpecError(
                f"{reader} has no option {name!r}", expected=f"one of {', '.join(sorted(names))}" if names else "none"
            )
    return options.extra


def decimal_option(name: str, text: str) -> Decimal:
    """Return a positive decimal given as text.

    Raises
    ------
    SpecError
        It is none.

    """
    try:
        value = Decimal(text)
    except InvalidOperation:
        value = Decimal(0)
    if not value.is_finite() or value <= 0:
        raise SpecError(f"{name} is {text!r}", expected="a positive decimal such as 0.01")
    return value


def step_in_units(options: ReadOptions, default: int, units: int) -> int:
    """Return the tick in a file's whole price units: the option's, else `default`.

    Raises
    ------
    SpecError
        The option is no multiple of 1/`units`.

    """
    if not options.tick_size:
        return default
    step = decimal_option("tick size", options.tick_size) * units
    if step % 1:
        raise SpecError(f"tick size {options.tick_size}", expected=f"a multiple of 1/{units}, the unit of these files")
    return int(step)


def equity(
    instrument_id: str, tick: Decimal, options: ReadOptions, *, sector: str = "", finest: Decimal | None = None
) -> InstrumentSpec:
    """Return a US equity in whole shares unless the options say otherwise; `finest` is the step of its prints."""
    symbol = instrument_id.rpartition(".")[0]
    lot = decimal_option("lot size", options.lot_size or "1")
    return InstrumentSpec(
        instrument_id=instrument_id,
        kind="equity",
        base=symbol,
        quote="USD",
        settlement="USD",
        tick_size=tick,
        lot_size=lot,
        price_precision=max(2, decimals(tick), decimals(finest or tick)),
        size_precision=decimals(lot),
        sector=sector,
    )


def check_grid(rows: pl.DataFrame, column: str, step: int, where: str) -> None:
    """Check that whole numbers are multiples of `step`.

    Parameters
    ----------
    rows : pl.DataFrame
        The line number is the first column.
    column : str
        Which column to check.
    step : int
        The tick in the file's own units.
    where : str
        The file, for the message.

    Raises
    ------
    DataError
        With the first line that is not.

    """
    off = rows.filter((pl.col(column) % step) != 0)
    if off.height:
        raise DataError(
            f"{where} line {off.row(0)[0]}: {column} {off[column][0]} is off the tick grid ({off.height:,} rows)",
            expected=f"multiples of {step} in the file's own units",
            next_step="give the right tick size, or none to have it found",
        )


def check_on_grid(rows: pl.DataFrame, columns: Iterable[str], tick: Decimal, where: str) -> None:
    """Check that decimal prices are multiples of `tick`; see `check_grid`."""
    for name in columns:
        off = rows.filter((pl.col(name) % pl.lit(tick)) != 0)
        if off.height:
            raise DataError(
                f"{where} line {off.row(0)[0]}: {name} {off[name][0].normalize():f} is off the tick grid "
                f"({off.height:,} rows)",
                expected=f"multiples of {tick}",
                next_step="give the right tick size, or none to have it found",
            )


class DefectLog:
    """Counts defects by code into the list of a `Recording`, keeping the first few examples.

    Parameters
    ----------
    into : list of Defect
        Filled in place, one entry a code.

    """

    def __init__(self, into: list[Defect]) -> None:
        self._into = into
        self._place: dict[str, int] = {}

    def add(self, code: str, count: int, action: str, examples: Iterable[str] = ()) -> None:
        """Count `count` more of `code`; nothing happens for 0."""
        if not count:
            return
        if code not in self._place:
            self._place[code] = len(self._into)
            self._into.append(Defect(code, 0, action))
        old = self._into[self._place[code]]
        room = limits.DEFECT_EXAMPLES_MAX - len(old.examples)
        shown = (*old.examples, *(text for text, _ in zip(examples, range(room), strict=False)))
        self._into[self._place[code]] = Defect(code, old.count + count, action, shown)
