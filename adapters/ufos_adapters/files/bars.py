"""Bars (OHLCV, or bid and ask) and quote ticks from CSV, gzip, zip or Parquet, with columns mapped by options.

A source's bars are taken to be stamped at their start unless ``stamp=close``; in a catalog they are stamped at their
close. The rows of one import wait in memory until their grid is known.

Options, besides the columns (``time``; ``open high low close volume``; ``bid_open ... ask_close bid_size ask_size``;
``bid ask bid_size ask_size`` for ticks), each given as ``name=header``, or ``name=number`` with ``header=no``:

============= =================================================================================================
preset        fxcm | oanda-daily | histdata-ticks
header        yes | no
separator     one character
time_format   strptime's letters, or s | ms | us | ns since 1970; found where not given
tz            zone of times without offset: a name such as America/New_York, or UTC-5; UTC where not given
bar_spec      such as 1-MINUTE; the most frequent time step where not given
price_type    LAST | BID | ASK | MID; taken from "bid" or "ask" in a file's name, else LAST
stamp         open | close
kind, base, quote, venue   of the instrument, where the symbol does not tell
volume_unit   base | quote: volume in quote currency is divided by the close
default_size  size where the source has none (1000000 for currency pairs; without size nothing trades)
crossed       drop | keep bars and quotes whose ask is below the bid
============= =================================================================================================
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Final

import polars as pl
from nautilus_trader.model import BarType

from ufos_adapters.files import sources
from ufos_adapters.files.bars_clean import Cleaner, join_sides
from ufos_adapters.files.bars_plan import COLUMNS, PRICES, SIDES, SIZE_WHERE_NONE, Plan, kind_and_currencies, make_plan
from ufos_adapters.files.bars_text import read_file
from ufos_nautilus import limits
from ufos_nautilus.errors import DataError, LimitExceededError, SpecError
from ufos_nautilus.limits import SOURCE_BATCH_ROWS
from ufos_nautilus.market.instruments import InstrumentSpec
from ufos_nautilus.market.recording import Batch, ReadOptions, Recording
from ufos_nautilus.market.tables import DECIMAL, SCHEMAS, decimals, infer_grid

UNITS_S: Final = {"SECOND": 1, "MINUTE": 60, "HOUR": 3600, "DAY": 86_400, "WEEK": 604_800}
"""Bar units -> seconds."""
QUOTED_VOLUME_DECIMALS: Final = 8
"""Decimals of a volume that was divided by the price, where no lot size is given."""
_SPEC: Final = re.compile(r"([1-9]\d{0,3})-(SECOND|MINUTE|HOUR|DAY|WEEK)")


def read(files: Sequence[Path], options: ReadOptions) -> Recording:
    """Read files of bars or ticks as the options or a preset say.

    Parameters
    ----------
    files : sequence of Path
        Several files of one instrument and side are joined in order of time. Files named bid and ask make two bar
        types of one instrument.
    options : ReadOptions
        `instrument_id` is needed unless a preset finds the symbol in the file's name. Tick and lot size are found from
        the values where not given.

    Returns
    -------
    Recording
        Bars by bar type, or quotes; facts tell the rows read and how many bars close crossed.

    Raises
    ------
    DataError
        A file is not what the options say, or a price is off the given tick; with file and line.
    SpecError
        An option can't be used.

    """
    plan = make_plan(options)
    recording = Recording(instruments=[], batches=iter(()))
    loader = _Loader(plan, options, recording)
    tables = [loader.load(key, group) for key, group in _groups(files, plan, options).items()]
    recording.instruments = [table.spec for table in tables]
    recording.batches = (batch for table in tables for batch in table.batches())
    return recording


def _groups(files: Sequence[Path], plan: Plan, options: ReadOptions) -> dict[str, dict[str, list[Path]]]:
    """Sort the files into instrument id -> price type -> files; the price type is empty where a file holds both."""
    groups: dict[str, dict[str, list[Path]]] = {}
    for path in files:
        named = re.match(plan.symbol, path.name.lower()) if plan.symbol else None
        if not options.instrument_id and not named:
            raise SpecError(
                f"the instrument of {path.name} is not known",
                expected="an instrument id, or a preset and its usual file names",
                next_step="add --instrument-id, for example BTCUSDT-PERP.BINANCE",
            )
        derived = f"{named['symbol'].upper()}.{plan.get('venue')}" if named else ""
        side = re.search(r"(?<![a-z])(bid|ask)(?![a-z])", path.name.lower())
        kind = plan.get("price_type") or (side[1].upper() if side else "LAST") if plan.layout == "ohlcv" else ""
        groups.setdefault(options.instrument_id or derived, {}).setdefault(kind, []).append(path)
    for instrument_id, kinds in groups.items():
        if len(kinds) > 1 and set(kinds) != {"BID", "ASK"}:
            raise SpecError(
                f"{instrument_id}: files of {' and '.join(sorted(kinds))}", expected="one kind, or bid and ask"
            )
    return dict(sorted(groups.items()))


@dataclass(frozen=True, slots=True)
class _Table:
    """Clean rows of one instrument in order of time, and what is known about them."""

    rows: pl.DataFrame
    spec: InstrumentSpec
    kinds: tuple[str, ...]
    """Price types of the bars; none for ticks."""
    bar_spec: str
    default_size: str
    """Size assumed because the source has none; empty where it has."""
    stamped_at_open: bool
    quote_volume: bool

    def batches(self) -> Iterator[Batch]:
        """Cut into batches."""
        own = self.spec.instrument_id
        for kind in self.kinds:
            for piece in self._bars(kind).iter_slices(SOURCE_BATCH_ROWS):
                yield Batch("bars", f"{own}-{self.bar_spec}-{kind}-EXTERNAL", own, piece)
        if not self.kinds:
            for piece in self._quotes().iter_slices(SOURCE_BATCH_ROWS):
                yield Batch("quotes", own, own, piece)

    def _bars(self, kind: str) -> pl.DataFrame:
        prefix, volume = (f"{kind.lower()}_", f"{kind.lower()}_size") if len(self.kinds) > 1 else ("", "volume")
        size = pl.lit(self.default_size).cast(DECIMAL) if self.default_size else pl.col(volume)
        if self.quote_volume and not self.default_size:
            size = (size / pl.col(f"{prefix}close")).round(self.spec.size_precision)
        step, unit = self.bar_spec.split("-")
        length = pl.duration(seconds=int(step) * UNITS_S[unit] if self.stamped_at_open else 0, time_unit="ns")
        return self.rows.select(
            *(pl.col(f"{prefix}{price}").alias(price) for price in PRICES),
            size.cast(DECIMAL).alias("volume"),
            (pl.col("ts") + length).alias("ts_event"),
            (pl.col("ts") + length).alias("ts_init"),
        )

    def _quotes(self) -> pl.DataFrame:
        size = pl.lit(self.default_size).cast(DECIMAL)
        sizes = {f"{side}_size": size if self.default_size else pl.col(f"{side}_size") for side in SIDES}
        return self.rows.with_columns(
            pl.col("bid").alias("bid_price"), pl.col("ask").alias("ask_price"), ts_event="ts", ts_init="ts", **sizes
        ).select(SCHEMAS["quotes"].keys())


class _Loader:
    """Reads the files of one instrument after the other."""

    def __init__(self, plan: Plan, options: ReadOptions, recording: Recording) -> None:
        self.plan = plan
        self.options = options
        self.defects = sources.DefectLog(recording.defects)
        self.facts = recording.facts
        self.facts |= {"rows": 0, "crossed_close": 0}

    def load(self, instrument_id: str, files: dict[str, list[Path]]) -> _Table:
        """Read an instrument's files and find its grid, the length of its bars and the size to assume."""
        plan = self.plan
        sided = plan.layout == "bid_ask" or len(files) > 1
        rows = self._rows(instrument_id, files, sided)
        kind, base, quote = kind_and_currencies(instrument_id.rpartition(".")[0], plan)
        must, may = COLUMNS["bid_ask" if sided else plan.layout]
        sizes = [rows[name].alias("size") for name in may if name in rows.columns]
        traded = pl.concat(sizes) if sizes else pl.Series("size", [], DECIMAL)
        default_size = ""
        if not (traded > 0).any():
            default_size = plan.get("default_size", SIZE_WHERE_NONE if kind == "currency_pair" else "0")
            self.defects.add("no_sizes", rows.height, f"repaired: {default_size} assumed", [instrument_id])
        whole = default_size or kind == "equity"
        lot = Decimal(1).scaleb(-decimals(Decimal(default_size or 1))) if whole else self._lot(traded)
        prices = pl.concat([rows[name].alias("price") for name in must])
        tick = Decimal(self.options.tick_size) if self.options.tick_size else infer_grid(prices)[0]
        bar_spec = "" if plan.layout == "ticks" else plan.get("bar_spec") or _usual_step(rows["ts"])
        if bar_spec:
            _check_bar_type(instrument_id, bar_spec)
        spec = InstrumentSpec(
            instrument_id=instrument_id,
            kind=kind,
            base=base,
            quote=quote,
            settlement=quote,
            tick_size=tick,
            lot_size=lot,
            price_precision=decimals(tick),
            size_precision=decimals(lot),
        )
        kinds = ("BID", "ASK") if sided else tuple(files) if bar_spec else ()
        at_open, quoted = plan.get("stamp", "open") == "open", plan.get("volume_unit") == "quote"
        return _Table(rows, spec, kinds, bar_spec, default_size, at_open, quoted)

    def _lot(self, sizes: pl.Series) -> Decimal:
        if self.options.lot_size:
            return sources.decimal_option("lot size", self.options.lot_size)
        if self.plan.get("volume_unit") == "quote":
            return Decimal(1).scaleb(-QUOTED_VOLUME_DECIMALS)
        return infer_grid(sizes)[0]

    def _rows(self, instrument_id: str, files: dict[str, list[Path]], sided: bool) -> pl.DataFrame:
        """Return clean rows in order of time, with the columns of the layout."""
        clean, ticks = Cleaner(self.defects, instrument_id), self.plan.layout == "ticks"
        sides: dict[str, pl.DataFrame] = {}
        for kind, paths in files.items():
            parts = sorted(
                (self._file(path) for path in paths), key=lambda rows: rows["ts"].to_physical().head(1).to_list()
            )
            sides[kind] = clean.ordered(pl.concat(parts, how="diagonal"), unique=not ticks)
        rows = join_sides(sides["BID"], sides["ASK"]) if len(sides) > 1 else next(iter(sides.values()))
        keep = self.plan.get("crossed") == "keep"
        if sided:
            rows = clean.both_sides(rows)
            self.facts["crossed_close"] += rows.filter(pl.col("ask_close") < pl.col("bid_close")).height
            rows = clean.uncrossed(rows, [f"_{price}" for price in PRICES], "crossed_bar", keep=keep)
        elif ticks:
            rows = clean.drop(rows, pl.any_horizontal(pl.col(*SIDES).is_null()), "one_sided_quote")
            rows = clean.uncrossed(rows, [""], "crossed_quote", keep=keep)
        if not rows.height:
            raise DataError(
                f"{instrument_id}: no usable row is left", next_step="check that the columns are mapped right"
            )
        return rows

    def _file(self, path: Path) -> pl.DataFrame:
        rows = read_file(path, self.plan)
        self.facts["rows"] += rows.height
        if self.facts["rows"] > limits.BARS_IMPORT_ROWS_MAX:
            raise LimitExceededError(
                f"more than {limits.BARS_IMPORT_ROWS_MAX:,} rows",
                expected="smaller imports",
                next_step="import in parts",
            )
        if self.options.progress:
            self.options.progress(rows.height)
        must, may = COLUMNS[self.plan.layout]
        clean = Cleaner(self.defects, path.name)
        for size in [name for name in may if name in rows.columns]:
            rows = clean.drop(rows, (pl.col(size) < 0).fill_null(False), "negative_size")
            clean.count(rows.filter(pl.col(size).is_null()), "missing_size", "repaired: 0")
            rows = rows.with_columns(pl.col(size).fill_null(0))
        if self.plan.layout == "ohlcv":
            rows = clean.bars(rows)
        if self.options.tick_size:
            sources.check_on_grid(rows, must, sources.decimal_option("tick size", self.options.tick_size), path.name)
        return rows


def _usual_step(times: pl.Series) -> str:
    """Return the most frequent time step as a bar specification."""
    steps = times.diff().drop_nulls().value_counts(sort=True)
    seconds = int(steps[steps.columns[0]][0].total_seconds()) if steps.height else 0
    for unit, length in reversed(UNITS_S.items()):
        if seconds and seconds % length == 0:
            return f"{seconds // length}-{unit}"
    raise SpecError("the length of the bars is not known", next_step="add --option bar_spec=1-MINUTE, for example")


def _check_bar_type(instrument_id: str, spec: str) -> None:
    expected = "a number and SECOND, MINUTE, HOUR, DAY or WEEK that divides the next unit, such as 5-MINUTE"
    if not _SPEC.fullmatch(spec):
        raise SpecError(f"bar_spec is {spec!r}", expected=expected)
    try:
        BarType.from_str(f"{instrument_id}-{spec}-LAST-EXTERNAL")
    except ValueError as error:
        raise SpecError(f"bar_spec {spec!r}: {error}", expected=expected) from error
