"""Reads raw Binance recordings (spot, USD-M and coin-M perpetuals) into deltas, trades and quotes."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final, cast

import polars as pl

from ufos_adapters.files.binance_book import BookJoin, GapRule, SequenceGap
from ufos_adapters.files.binance_lines import Depth, Line, Snapshot, Ticker, Trade, lines, order_by_time
from ufos_adapters.files.binance_survey import Survey, survey
from ufos_nautilus.errors import DataError, SpecError
from ufos_nautilus.limits import DEFECT_EXAMPLES_MAX
from ufos_nautilus.market.recording import Batch, Defect, ReadOptions, Recording, TableKind
from ufos_nautilus.market.tables import decimal_column, utc_ns

_MS: Final = 1_000_000
_BATCH_ROWS: Final = 100_000
_PROGRESS_LINES: Final = 10_000
_BACK_STEP_NS_MAX: Final = 1_000_000_000
_OPTIONS: Final = {"gaps": ("error", "resync")}


def read(paths: Sequence[Path], options: ReadOptions) -> Recording:
    """Open one recording of one instrument, in one file or several that continue each other.

    The files are put in the order of their first receive times. `ts_init` is the receive time plus one constant for
    the whole recording, so that the least latency is positive; `ts_event` is the exchange's transaction time, else
    its event time, else the receive time.

    Parameters
    ----------
    paths : sequence of Path
        Gzip or plain text.
    options : ReadOptions
        `extra` knows ``gaps``: ``error`` (default), or ``resync``: at a gap the book is emptied and starts again with
        the next snapshot.

    Raises
    ------
    DataError
        Bad files, here or while the batches are consumed: a bad line, a truncated file, no snapshot, a sequence gap.
    SpecError
        An unknown option.

    """
    gaps = _gap_rule(options)
    ordered = order_by_time([Path(p) for p in paths])
    found = survey(ordered, options)
    recording = Recording(instruments=[found.instrument], batches=iter(()))
    recording.batches = _Reader(ordered, found, gaps, options, recording).batches()
    return recording


def _gap_rule(options: ReadOptions) -> GapRule:
    for name, value in options.extra.items():
        if name not in _OPTIONS:
            raise SpecError(f"binance-raw has no option {name!r}", expected=" | ".join(_OPTIONS))
        if value not in _OPTIONS[name]:
            raise SpecError(f"option {name} is {value!r}", expected=" | ".join(_OPTIONS[name]))
    return cast(GapRule, options.extra.get("gaps", "error"))


class _TradeRows:
    """Columns of trades, converted in bulk."""

    def __init__(self) -> None:
        self.prices: list[str] = []
        self.sizes: list[str] = []
        self.maker_bought: list[bool] = []
        self.ids: list[int] = []
        self.event_ns: list[int] = []
        self.init_ns: list[int] = []

    def take(self) -> pl.DataFrame:
        """Return the rows as a frame and start anew."""
        sold = pl.Series(self.maker_bought, dtype=pl.Boolean)
        frame = pl.DataFrame(
            {
                "price": decimal_column(self.prices, "price"),
                "size": decimal_column(self.sizes, "size"),
                # The buyer was the maker, so the aggressor sold.
                "aggressor_side": pl.Series(["BUY", "SELL"]).gather(sold.cast(pl.UInt32)),
                "trade_id": pl.Series(self.ids, dtype=pl.Int64).cast(pl.String),
                "ts_event": utc_ns(self.event_ns),
                "ts_init": utc_ns(self.init_ns),
            }
        )
        self.__init__()
        return frame


class _QuoteRows:
    """Columns of quotes, converted in bulk."""

    def __init__(self) -> None:
        self.levels: list[tuple[str, str, str, str]] = []
        self.event_ns: list[int] = []
        self.init_ns: list[int] = []

    def take(self) -> pl.DataFrame:
        """Return the rows as a frame and start anew."""
        columns = zip(*self.levels, strict=True)
        names = ("bid_price", "ask_price", "bid_size", "ask_size")
        frame = pl.DataFrame(
            {
                **{name: decimal_column(column, name) for name, column in zip(names, columns, strict=True)},
                "ts_event": utc_ns(self.event_ns),
                "ts_init": utc_ns(self.init_ns),
            }
        )
        self.__init__()
        return frame


class _Reader:
    """The second pass: turns lines into batches, and fills the recording's defects and facts at its end."""

    def __init__(
        self, paths: Sequence[Path], found: Survey, gaps: GapRule, options: ReadOptions, recording: Recording
    ) -> None:
        self.paths, self.found, self.gap_rule, self.recording = paths, found, gaps, recording
        self.progress = options.progress
        self.book = BookJoin(futures=found.market != "spot")
        self.trades, self.quotes = _TradeRows(), _QuoteRows()
        self.rows: dict[TableKind, int] = {"order_book_deltas": 0, "trades": 0, "quotes": 0}
        self.gaps: list[str] = []
        self.lines = self.tickers = 0
        self.counts: dict[str, int] = {}
        self.examples: dict[str, list[str]] = {}
        self._last_ns = 0
        self._first_ns = 0
        self._last_trade = -1

    def batches(self) -> Iterator[Batch]:
        """Yield the batches of all files."""
        path = self.paths[0]
        for path in self.paths:
            for line in lines(path):
                self.lines += 1
                self._take(line, path)
                if self.progress and self.lines % _PROGRESS_LINES == 0:
                    self.progress(_PROGRESS_LINES)
                yield from self._full(_BATCH_ROWS)
        if not self.book.synced and self.book.buffered and not self.gaps:
            raise DataError(
                f"{path.name}: no depth snapshot fits the depth updates "
                f"({self.book.stale_snapshots} older than the first update they must join)",
                expected="a snapshot between the first and the last depth update",
                next_step="give the files from the start of the recording, in one command",
            )
        yield from self._full(1)
        if self.progress:
            self.progress(self.lines % _PROGRESS_LINES)
        self._report()

    def _take(self, line: Line, path: Path) -> None:
        received = line.received_ns + self.found.shift_ns
        if received < self._last_ns:
            received = self._step_back(received, line, path)
        self._last_ns = received
        self._first_ns = self._first_ns or received
        message = line.message
        if isinstance(message, Ticker):
            self._ticker(message, received)
        elif isinstance(message, Depth):
            event_ns = (message.T or message.E) * _MS
            try:
                self.book.on_depth(message, event_ns, received)
            except SequenceGap as gap:
                self._gap(gap, line, path, event_ns)
                self.book.on_depth(message, event_ns, received)
        elif isinstance(message, Trade):
            self._trade(message, received, line, path)
        elif isinstance(message, Snapshot):
            try:
                self.book.on_snapshot(message, (message.T or message.E) * _MS or received, received)
            except SequenceGap as gap:
                self._gap(gap, line, path, received)
        else:
            self._count("other_stream", f"{path.name} line {line.number}")

    def _ticker(self, message: Ticker, received: int) -> None:
        self.tickers += 1
        self.quotes.levels.append((message.b, message.a, message.B, message.A))
        self.quotes.event_ns.append((message.T or message.E) * _MS or received)
        self.quotes.init_ns.append(received)

    def _trade(self, message: Trade, received: int, line: Line, path: Path) -> None:
        where = f"{path.name} line {line.number}"
        if message.t <= self._last_trade:
            self._count("duplicate_trade", where)
            return
        if message.t > self._last_trade + 1 and self._last_trade >= 0:
            self._count("trade_id_gap", where)
        self._last_trade = message.t
        if float(message.p) == 0 or float(message.q) == 0:
            # Futures report insurance-fund and liquidation bookings as trades without price or size.
            self._count("void_trade", where)
            return
        rows = self.trades
        rows.prices.append(message.p)
        rows.sizes.append(message.q)
        rows.maker_bought.append(message.m)
        rows.ids.append(message.t)
        rows.event_ns.append((message.T or message.E) * _MS or received)
        rows.init_ns.append(received)

    def _step_back(self, received: int, line: Line, path: Path) -> int:
        back = self._last_ns - received
        if back > _BACK_STEP_NS_MAX:
            raise DataError(
                f"{path.name} line {line.number}: receive time goes back by {back / 1e9:.3f} s",
                expected="lines in the order they were received, and files that continue each other",
                next_step="give files that do not overlap, or split the recording where its clock was set back",
            )
        self._count("time_backwards", f"{path.name} line {line.number}")
        return self._last_ns

    def _gap(self, gap: SequenceGap, line: Line, path: Path, event_ns: int) -> None:
        where = f"{path.name} line {line.number}: {gap}"
        if self.gap_rule == "error":
            raise DataError(
                f"sequence gap in {where}",
                expected="every depth update to follow the one before it",
                next_step="give the missing file, or add `--option gaps=resync` to empty the book until the next snapshot",
            )
        self.gaps.append(where)
        self.book.lose_sync(event_ns, self._last_ns)

    def _count(self, code: str, where: str) -> None:
        self.counts[code] = self.counts.get(code, 0) + 1
        examples = self.examples.setdefault(code, [])
        if len(examples) < DEFECT_EXAMPLES_MAX:
            examples.append(where)

    def _full(self, batch_rows: int) -> Iterator[Batch]:
        tables = (
            ("order_book_deltas", self.book.rows, self.book.rows.prices),
            ("trades", self.trades, self.trades.prices),
            ("quotes", self.quotes, self.quotes.levels),
        )
        name = self.found.instrument.instrument_id
        for kind, rows, column in tables:
            if len(column) >= batch_rows:
                self.rows[kind] += len(column)
                yield Batch(kind, name, name, rows.take())

    def _report(self) -> None:
        book, found = self.book, self.found
        actions = {
            "duplicate_trade": "dropped",
            "void_trade": "dropped",
            "trade_id_gap": "kept",
            "other_stream": "dropped",
            "time_backwards": "repaired: raised to the receive time before",
        }
        defects = [Defect(c, n, actions[c], tuple(self.examples[c])) for c, n in sorted(self.counts.items())]
        own = (
            ("unknown_level_delete", book.unknown_deletes, "dropped"),
            ("duplicate_depth", book.duplicates, "dropped"),
            ("crossed_book", book.crossed, "kept"),
            ("extra_snapshot", book.extra_snapshots, "dropped"),
            ("stale_snapshot", book.stale_snapshots, "dropped"),
            ("unsynchronised_depth", len(book.buffered), "dropped"),
        )
        defects += [Defect(code, count, action) for code, count, action in own if count]
        if self.gaps:
            examples = tuple(self.gaps[:DEFECT_EXAMPLES_MAX])
            defects.append(Defect("sequence_gap", len(self.gaps), "repaired: book emptied until a snapshot", examples))
        if found.shift_ns:
            shift_ms = found.shift_ns // _MS
            defects.append(Defect("clock_shift", self.lines, f"repaired: {shift_ms} ms added to every receive time"))
        self.recording.defects += defects
        self.recording.facts.update(
            market=found.market,
            symbol=found.symbol,
            lines=self.lines,
            depth_messages=found.depth_messages,
            depth_events=book.applied,
            gaps=len(self.gaps),
            crossed=book.crossed,
            clock_shift_ms=found.shift_ns // _MS,
            least_latency_us=None if found.least_latency_ns is None else found.least_latency_ns // 1000,
            first_ns=self._first_ns,
            last_ns=self._last_ns,
        )
