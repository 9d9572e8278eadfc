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
from ufos_adapters.files.lobster_tables import (
    BBO_COLUMNS,
    CENT,
    CROSS,
    HALT,
    HIDDEN,
    UNITS,
    delta_table,
    empty_as_null,
    first_levels,
    quote_table,
    read_messages,
    stamp_messages,
    trade_table,
)
from ufos_adapters.files.order_flow import OrderFlow, rebuild
from ufos_nautilus.errors import DataError, SpecError
from ufos_nautilus.limits import DEFECT_EXAMPLES_MAX, SOURCE_BATCH_ROWS
from ufos_nautilus.market.instruments import InstrumentSpec
from ufos_nautilus.market.recording import Batch, ReadOptions, Recording, TableKind

_NAME: Final = re.compile(r"(?P<symbol>[A-Za-z0-9.]+)_\d{4}-\d{2}-\d{2}_.*?(?P<kind>message|orderbook|bbo)")


@dataclass(slots=True)
class _Day:
    """The files of one symbol and day, by kind."""

    symbol: str
    day: str
    files: dict[str, Path] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Agreement:
    """How often the rebuilt best prices and sizes equal the recorded ones.

    Parameters
    ----------
    rows, equal : int
        Messages compared, and those after which all four numbers are equal.

    """

    rows: int
    equal: int

    @property
    def share(self) -> float:
        """Return equal rows per row."""
        return self.equal / self.rows if self.rows else 1.0


def read(files: Sequence[Path], options: ReadOptions) -> Recording:
    """Read LOBSTER message files with, where given, their orderbook and bbo files.

    Parameters
    ----------
    files : sequence of Path
        ``SYMBOL_yyyy-mm-dd_..._message_....csv[.gz]``, likewise ``orderbook`` and ``bbo``; any days of one symbol.
    options : ReadOptions
        Without `tick_size` the tick is a cent if every price in the book is a whole number of cents, else 0.0001.

    Returns
    -------
    Recording
        L3 deltas, quotes and trades by day; with a truth given, the facts tell how far the book agrees with it.

    Raises
    ------
    DataError
        A file is not what it should be; with file and line.
    SpecError
        An option can't be used.

    """
    extra = sources.check_options(options, "lobster", ("venue",))
    days = _days(files)
    spec = _instrument(options.instrument_id or f"{days[0].symbol}.{extra.get('venue', 'XNAS')}", days, options)
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
    rows = min(best.height, truth.height)
    theirs = empty_as_null(truth.head(rows)).select(pl.col(name).alias(f"true_{name}") for name in names)
    both = pl.concat([best.select(names).head(rows), theirs], how="horizontal")
    same = pl.all_horizontal(pl.col(name).eq_missing(pl.col(f"true_{name}")) for name in names)
    return Agreement(rows, int(both.select(same.sum()).item()))


def _days(files: Sequence[Path]) -> list[_Day]:
    """Sort the files by day; there is one message file a day and one symbol."""
    days: dict[str, _Day] = {}
    for path in files:
        named = _NAME.match(path.name)
        if not named:
            raise DataError(
                f"{path.name} is no LOBSTER file by its name",
                expected="SYMBOL_yyyy-mm-dd_start_end_message_levels.csv, likewise orderbook and bbo",
            )
        symbol, kind = named["symbol"].upper(), named["kind"]
        day = sources.day_in_name(path).isoformat()
        entry = days.setdefault(day, _Day(symbol, day))
        if {e.symbol for e in days.values()} != {symbol} or kind in entry.files:
            raise SpecError(f"{path.name}: a second symbol, or a second {kind} file for {day}", expected="one symbol")
        entry.files[kind] = path
    for entry in days.values():
        if "message" not in entry.files:
            name = next(iter(entry.files.values())).name
            raise DataError(
                f"{name} comes without its message file", expected=f"{entry.symbol}_{entry.day}_.._message_.."
            )
    return [days[day] for day in sorted(days)]


def _instrument(instrument_id: str, days: Sequence[_Day], options: ReadOptions) -> InstrumentSpec:
    """Build the equity; this parses every message once, so that a bad one is refused before any row is handed over."""
    finest = step = sources.step_in_units(options, CENT, UNITS)
    for day in days:
        path = day.files["message"]
        prices = read_messages(path).filter(pl.col("type") != HALT).select("seq", "type", "price")
        if options.tick_size:
            sources.check_grid(prices, "price", step, path.name)
        elif ((prices["price"] % CENT) != 0).any():
            # Hidden orders and auctions execute between ticks; what shows in the book has the tick.
            shown = prices.filter(~pl.col("type").is_in([HIDDEN, CROSS]))["price"]
            finest, step = 1, 1 if ((shown % CENT) != 0).any() else step
    return sources.equity(instrument_id, Decimal(step) / UNITS, options, finest=Decimal(finest) / UNITS)


def _batches(days: Sequence[_Day], spec: InstrumentSpec, recording: Recording, options: ReadOptions) -> Iterator[Batch]:
    defects = sources.DefectLog(recording.defects)
    facts: dict[str, int] = dict.fromkeys(
        ("messages", "deltas", "quotes", "trades", "hidden_trades", "one_sided_rows"), 0
    )
    compared: list[Agreement] = []
    for day in days:
        path = day.files["message"]
        messages = stamp_messages(read_messages(path), day.day, path.name, defects)
        if options.progress:
            options.progress(messages.height)
        flow = rebuild(messages, first_levels(day.files.get("orderbook"), messages.row(0, named=True)))
        _log(flow, path.name, defects)
        if (truth := _truth(day, messages.height)) is not None:
            compared.append(compare_with_bbo(flow.best, truth))
        tables: dict[TableKind, pl.DataFrame] = {
            "order_book_deltas": delta_table(flow, messages),
            "quotes": quote_table(flow, messages),
            "trades": trade_table(messages, day.day),
        }
        facts["deltas"] += tables["order_book_deltas"].height
        facts["quotes"] += tables["quotes"].height
        facts["trades"] += tables["trades"].height
        facts["messages"] += messages.height
        facts["hidden_trades"] += messages.filter(pl.col("type") == HIDDEN).height
        facts["one_sided_rows"] += flow.best.filter(pl.any_horizontal(pl.col("ask", "bid").is_null())).height
        for kind, table in tables.items():
            for piece in table.iter_slices(SOURCE_BATCH_ROWS):
                yield Batch(kind, spec.instrument_id, spec.instrument_id, piece)
    recording.facts |= facts
    if compared:
        total = Agreement(sum(a.rows for a in compared), sum(a.equal for a in compared))
        recording.facts |= {"bbo_rows": total.rows, "bbo_equal": total.equal, "bbo_agreement": f"{total.share:.5f}"}


def _log(flow: OrderFlow, name: str, defects: sources.DefectLog) -> None:
    for code, lines, action in (
        ("unknown_order", flow.unknown, "dropped: no such order in the book"),
        ("duplicate_order", flow.duplicates, "dropped: the order was added before"),
        ("size_mismatch", flow.mismatched, "repaired: what the order had left was taken"),
    ):
        defects.add(code, lines.len(), action, (f"{name} line {n}" for n in lines.head(DEFECT_EXAMPLES_MAX)))


def _truth(day: _Day, messages: int) -> pl.DataFrame | None:
    if "bbo" not in day.files:
        return None
    source = sources.open_source(day.files["bbo"])
    truth = sources.read_csv(source, BBO_COLUMNS)
    if truth.height > messages:
        raise DataError(f"{source.where} has {truth.height:,} rows for {messages:,} messages", expected="one a message")
    return truth
