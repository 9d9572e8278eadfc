"""LOBSTER order messages (L3), New York time to the nanosecond, prices in 1/10,000 dollar.

Messages become an order-by-order book, its best prices become quotes, executions become trades. The book before the
first message comes from the first row of an ``orderbook`` file, one order a level; without it the book fills up from
empty. A ``bbo`` file (best prices after each message) is not imported but compared with the rebuilt book.

Options: ``venue`` (default XNAS).
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Final

import polars as pl

from ufos_adapters.files import sources
from ufos_adapters.files.order_flow import OrderFlow, rebuild
from ufos_nautilus.errors import DataError, SpecError
from ufos_nautilus.limits import DEFECT_EXAMPLES_MAX, SOURCE_BATCH_ROWS
from ufos_nautilus.market.instruments import InstrumentSpec
from ufos_nautilus.market.recording import Batch, ReadOptions, Recording, TableKind
from ufos_nautilus.market.tables import DECIMAL, F_LAST, F_SNAPSHOT, SCHEMAS, decimals

NEW_YORK: Final = "America/New_York"
UNITS: Final = 10_000
"""Price units in one dollar."""
CENT: Final = 100
"""Price units in one cent."""
NO_PRICE: Final = 9_999_999_999
"""Absolute price of an empty level."""
_WHOLE: Final = pl.Int64()
MESSAGE_COLUMNS: Final[dict[str, pl.DataType]] = {
    "time": pl.Decimal(20, 9),
    **dict.fromkeys(("type", "order_id", "size", "price", "direction"), _WHOLE),
}
BBO_COLUMNS: Final[dict[str, pl.DataType]] = dict.fromkeys(("ask", "ask_size", "bid", "bid_size"), _WHOLE)
HIDDEN, CROSS, HALT = 5, 6, 7
_NAME: Final = re.compile(r"(?P<symbol>[A-Za-z0-9.]+)_\d{4}-\d{2}-\d{2}_.*?(?P<kind>message|orderbook|bbo)")


@dataclass(slots=True)
class _Day:
    """The files of one symbol and day, by kind."""

    symbol: str
    day: str
    files: dict[str, Path] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Agreement:
    """How often the rebuilt best prices and sizes equal the recorded ones."""

    rows: int
    equal: int
    first_difference: int
    """Message number, 0 where there is none."""

    @property
    def share(self) -> float:
        """Return equal rows per row."""
        return self.equal / self.rows if self.rows else 1.0


def read(files: Sequence[Path], options: ReadOptions) -> Recording:
    """Read LOBSTER message files with, where given, their orderbook and bbo files.

    Parameters
    ----------
    files : sequence of Path
        ``SYMBOL_yyyy-mm-dd_..._message_....csv[.gz]``, likewise ``orderbook`` and ``bbo``; any number of days of one
        symbol.
    options : ReadOptions
        Without `tick_size` the tick is a cent if every price is a whole number of cents, else 0.0001.

    Returns
    -------
    Recording
        L3 deltas, quotes and trades by day; with the truth given, the facts tell how far the book agrees with it.

    Raises
    ------
    DataError
        A file is not what it should be; with file and line.
    SpecError
        An option can't be used.

    """
    extra = sources.check_options(options, "lobster", ("venue",))
    days = _days(files)
    symbol = days[0].symbol
    spec = _instrument(options.instrument_id or f"{symbol}.{extra.get('venue', 'XNAS')}", days, options)
    recording = Recording(instruments=[spec], batches=iter(()))
    recording.batches = _batches(days, spec, recording, options)
    return recording


def compare_with_bbo(best: pl.DataFrame, truth: pl.DataFrame) -> Agreement:
    """Compare best prices and sizes after each message with the recorded ones.

    Parameters
    ----------
    best : pl.DataFrame
        ``ask, ask_size, bid, bid_size``, one row a message, null where a side is empty (`OrderFlow.best`).
    truth : pl.DataFrame
        The same columns from a file; it may be shorter (the first messages only).

    """
    names = list(BBO_COLUMNS)
    mine = best.select(names).head(truth.height)
    theirs = truth.select(names).head(mine.height).with_columns(
        pl.when(pl.col(name).abs() != NO_PRICE).then(pl.col(name, f"{name}_size")) for name in ("ask", "bid")
    )
    renamed = theirs.rename({name: f"true_{name}" for name in names})
    same = pl.all_horizontal(pl.col(name).eq_missing(pl.col(f"true_{name}")) for name in names)
    equal = pl.concat([mine, renamed], how="horizontal").select(same).to_series()
    wrong = (~equal).arg_true()
    return Agreement(equal.len(), int(equal.sum()), int(wrong[0]) + 1 if wrong.len() else 0)


def _days(files: Sequence[Path]) -> list[_Day]:
    """Sort the files by day; there is one message file a day."""
    days: dict[str, _Day] = {}
    for path in files:
        named = _NAME.match(path.name)
        if not named:
            raise DataError(
                f"{path.name} is no LOBSTER file by its name",
                expected="SYMBOL_yyyy-mm-dd_start_end_message_levels.csv, likewise orderbook and bbo",
            )
        day = sources.day_in_name(path).isoformat()
        entry = days.setdefault(day, _Day(named["symbol"].upper(), day))
        if entry.symbol != named["symbol"].upper() or named["kind"] in entry.files:
            raise SpecError(f"{path.name}: a second {named['kind']} file for {day}", expected="one a day and one symbol")
        entry.files[named["kind"]] = path
    for entry in days.values():
        if "message" not in entry.files:
            name = next(iter(entry.files.values())).name
            raise DataError(f"{name} comes without its message file", expected=f"{entry.symbol}_{entry.day}_..._message_...")
    if len({d.symbol for d in days.values()}) > 1:
        raise SpecError("files of more than one symbol", expected="one symbol", next_step="import each by itself")
    return [days[day] for day in sorted(days)]


def _instrument(instrument_id: str, days: Sequence[_Day], options: ReadOptions) -> InstrumentSpec:
    """Build the equity; this parses every message once, so that a bad one is refused before any row is handed over."""
    step = sources.step_in_units(options, CENT, UNITS)
    for day in days:
        prices = _messages(day)["price"]
        if options.tick_size:
            sources.check_grid(prices, step, day.files["message"].name)
        elif ((prices % CENT) != 0).any():
            step = 1
    return sources.equity(instrument_id, Decimal(step) / UNITS, options)


def _messages(day: _Day) -> pl.DataFrame:
    """Read and check one message file; halts stay in, with their price of -1, 0 or 1."""
    source = sources.open_source(day.files["message"])
    rows = sources.read_csv(source, MESSAGE_COLUMNS).with_row_index("seq", offset=1).with_columns(pl.col("seq").cast(pl.Int64))
    trading = pl.col("type") != HALT
    checks = {
        "type": (pl.col("type").is_between(1, HALT), "1 to 7"),
        "direction": (pl.col("direction").is_in([-1, 1]) | ~trading, "1 or -1"),
        "size": ((pl.col("size") > 0) | ~trading, "a positive number of shares"),
        "price": ((pl.col("price") > 0) | ~trading, "a positive price in 1/10,000 dollar"),
        "time": (pl.col("time").is_between(0, DAY_S, closed="left"), "seconds after midnight"),
    }
    for name, (good, expected) in checks.items():
        bad = rows.filter(~good)
        if bad.height:
            raise DataError(
                f"{source.where} line {bad['seq'][0]}: {name} is {bad[name][0]}",
                expected=expected,
                next_step="check that the file holds LOBSTER messages",
            )
    return rows


def _batches(days: Sequence[_Day], spec: InstrumentSpec, recording: Recording, options: ReadOptions) -> Iterator[Batch]:
    defects, facts = sources.DefectLog(recording.defects), recording.facts
    totals = {"messages": 0, "deltas": 0, "quotes": 0, "trades": 0, "hidden_trades": 0, "one_sided_rows": 0}
    compared: list[Agreement] = []
    for day in days:
        messages = _stamped(_messages(day), day, defects)
        if options.progress:
            options.progress(messages.height)
        seeds = _seeds(day, messages.row(0, named=True))
        flow = rebuild(messages.filter(pl.col("type").is_between(1, 4)), seeds)
        best = messages.select("seq", "time").join_asof(flow.best, on="seq", strategy="backward")
        if (truth := _truth(day, messages.height)) is not None:
            compared.append(compare_with_bbo(best, truth))
        name = day.files["message"].name
        for code, lines, action in (
            ("unknown_order", flow.unknown, "dropped: the order was never added"),
            ("duplicate_order", flow.duplicates, "dropped: the order was added before"),
            ("size_mismatch", flow.mismatched, "repaired: what the order had left was taken"),
        ):
            defects.add(code, lines.len(), action, (f"{name} line {n}" for n in lines.head(DEFECT_EXAMPLES_MAX)))
        tables: dict[TableKind, pl.DataFrame] = {
            "order_book_deltas": _delta_table(flow, messages),
            "quotes": _quote_table(best),
            "trades": _trade_table(messages, day.day),
        }
        totals["messages"] += messages.height
        totals["deltas"] += tables["order_book_deltas"].height
        totals["quotes"] += tables["quotes"].height
        totals["trades"] += tables["trades"].height
        totals["hidden_trades"] += messages.filter(pl.col("type") == HIDDEN).height
        totals["one_sided_rows"] += best.filter(pl.col("ask").is_null() | pl.col("bid").is_null()).height
        for kind, table in tables.items():
            for piece in table.iter_slices(SOURCE_BATCH_ROWS):
                yield Batch(kind, spec.instrument_id, spec.instrument_id, piece)
    facts |= totals
    if compared:
        total = Agreement(sum(a.rows for a in compared), sum(a.equal for a in compared), compared[0].first_difference)
        facts |= {"bbo_rows": total.rows, "bbo_equal": total.equal, "bbo_agreement": f"{total.share:.5f}"}
