"""Reads raw Binance recordings (spot, USD-M and coin-M perpetuals) into deltas, trades and quotes."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Final, cast

from ufos_adapters.files.binance_book import BookJoin, GapRule, SequenceGapError
from ufos_adapters.files.binance_lines import (
    Depth,
    Message,
    Snapshot,
    Ticker,
    Trade,
    bad_line,
    lines,
    locate,
    locate_off_grid,
    order_by_time,
)
from ufos_adapters.files.binance_market import NS_PER_MS, clock_shift_ns, given_steps, instrument, market_of
from ufos_adapters.files.binance_rows import BadNumberError, OffGridError, QuoteRows, Store, TradeRows
from ufos_nautilus.errors import DataError, SpecError
from ufos_nautilus.limits import DEFECT_EXAMPLES_MAX
from ufos_nautilus.market.recording import Batch, Defect, ReadOptions, Recording

_BATCH_ROWS: Final = 100_000
_STEP_LINES: Final = 2_048
_BACK_STEP_NS_MAX: Final = 1_000_000_000
_OPTIONS: Final = {"gaps": ("error", "resync")}
_ACTIONS: Final = {
    "clock_shift": "repaired: {} ms added to every receive time",
    "crossed_book": "kept",
    "duplicate_depth": "dropped",
    "duplicate_trade": "dropped",
    "extra_snapshot": "dropped",
    "other_stream": "dropped",
    "sequence_gap": "repaired: book emptied until a snapshot",
    "stale_snapshot": "dropped",
    "time_backwards": "repaired: raised to the receive time before",
    "trade_id_gap": "kept",
    "unknown_level_delete": "dropped",
    "unsynchronised_depth": "dropped",
    "void_trade": "dropped",
}


def read(paths: Sequence[Path], options: ReadOptions) -> Recording:
    """Open one recording of one instrument, in one file or several that continue each other.

    The files are put in the order of their first receive times. `ts_init` is the receive time plus one constant for
    the whole recording, so that the least latency is positive; `ts_event` is the exchange's transaction time, else
    its event time, else the receive time. Everything is parsed here, as the constant and the grid are known only at
    the end; beyond `limits.IMPORT_BUFFER_ROWS_MAX` rows wait in a temporary directory.

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
        A bad line, a truncated or empty file, several instruments, no snapshot, a sequence gap.
    SpecError
        An unknown option.

    """
    given_steps(options)
    parser = _Parser(_gap_rule(options), options.progress)
    parser.store.tick_given = bool(options.tick_size)
    ordered = order_by_time([Path(p) for p in paths])
    try:
        for path in ordered:
            parser.parse(path)
        parser.finish(ordered)
    except OffGridError as error:
        raise locate_off_grid(ordered, str(error)) from error
    except BadNumberError as error:
        raise locate(ordered, str(error)) from error
    market = market_of(parser.symbol, futures=parser.futures, coin=parser.coin)
    spec = instrument(market, parser.symbol, parser.store.steps(), options)
    shift_ns = clock_shift_ns(parser.least_ns)
    recording = Recording(instruments=[spec], batches=_batches(parser.store, spec.instrument_id, shift_ns))
    parser.report(recording, market, shift_ns)
    return recording


def _batches(store: Store, instrument_id: str, shift_ns: int) -> Iterator[Batch]:
    for kind, frame in store.drain(shift_ns):
        yield Batch(kind, instrument_id, instrument_id, frame)


def _gap_rule(options: ReadOptions) -> GapRule:
    for name, value in options.extra.items():
        if name not in _OPTIONS:
            raise SpecError(f"binance-raw has no option {name!r}", expected=" | ".join(_OPTIONS))
        if value not in _OPTIONS[name]:
            raise SpecError(f"option {name} is {value!r}", expected=" | ".join(_OPTIONS[name]))
    return cast(GapRule, options.extra.get("gaps", "error"))


class _Parser:
    """Takes every line of every file once; what it found stands in its attributes."""

    def __init__(self, gap_rule: GapRule, progress: Callable[[int], None] | None) -> None:
        self.store = Store()
        self.symbol = ""
        self.futures = self.coin = False
        self.least_ns: int | None = None
        self._gap_rule: GapRule = gap_rule
        self._progress = progress
        self._book = BookJoin()
        self._trades, self._quotes = TradeRows(), QuoteRows()
        self._last_ns = 0
        self._last_trade = -1
        self._lines = self._depth_messages = self._snapshots = 0
        self._counts: dict[str, int] = {}
        self._examples: dict[str, list[str]] = {}

    def parse(self, path: Path) -> None:
        """Take one file."""
        number = 0
        try:
            for number, received, message in lines(path):
                self._line(received, message, path, number)
                if number % _STEP_LINES == 0:
                    self._step(_STEP_LINES)
        except BadNumberError:
            raise
        except ValueError as error:
            raise bad_line(path, number, str(error)) from error
        self._step(number % _STEP_LINES)

    def _line(self, received: int, message: Message, path: Path, number: int) -> None:
        if received < self._last_ns:
            received = self._step_back(received, path, number)
        self._last_ns = received
        if isinstance(message, Ticker):
            # The most frequent message by far, so it comes first.
            time = message.T or message.E
            if time:
                self._latency(received, message.E or time)
                self.futures = True
            row = (message.b, message.a, message.B, message.A, time * NS_PER_MS, received)
            self._quotes.rows.append(row)
            if message.s != self.symbol:
                self._symbol(message.s, path, number)
        elif message is None:
            self._count("other_stream", path, number)
        else:
            self._take(message, received, path, number)

    def _step(self, count: int) -> None:
        self._lines += count
        if self._progress:
            self._progress(count)
        self._collect(_BATCH_ROWS)

    def _collect(self, batch_rows: int) -> None:
        if len(self._book.rows.prices) >= batch_rows:
            self.store.add("order_book_deltas", self._book.rows.take())
        if len(self._trades.rows) >= batch_rows:
            self.store.add("trades", self._trades.take())
        if len(self._quotes.rows) >= batch_rows:
            self.store.add("quotes", self._quotes.take())

    def _take(self, message: Depth | Trade | Snapshot, received: int, path: Path, number: int) -> None:
        if message.E:
            self._latency(received, message.E)
        if isinstance(message, Snapshot):
            self._snapshot(message, received, path, number)
            return
        if message.s != self.symbol:
            self._symbol(message.s, path, number)
        if isinstance(message, Depth):
            self._depth(message, received, path, number)
        else:
            self._trade(message, received, path, number)

    def _latency(self, received: int, exchange_ms: int) -> None:
        latency = received - exchange_ms * NS_PER_MS
        if self.least_ns is None or latency < self.least_ns:
            self.least_ns = latency

    def _symbol(self, symbol: str, path: Path, number: int) -> None:
        if self.symbol:
            raise DataError(
                f"{path.name} line {number} is about {symbol}, those before about {self.symbol}",
                expected="one recording of one instrument",
                next_step="import each recording by itself",
            )
        self.symbol = symbol

    def _depth(self, message: Depth, received: int, path: Path, number: int) -> None:
        self._depth_messages += 1
        self.futures |= message.pu >= 0
        self.coin |= message.ps != ""
        event_ns = (message.T or message.E) * NS_PER_MS
        try:
            self._book.on_depth(message, event_ns, received)
        except SequenceGapError as gap:
            self._gap(gap, path, number, (event_ns, received))
            self._book.on_depth(message, event_ns, received)

    def _snapshot(self, message: Snapshot, received: int, path: Path, number: int) -> None:
        self._snapshots += 1
        event_ns = (message.T or message.E) * NS_PER_MS
        try:
            self._book.on_snapshot(message, event_ns, received)
        except SequenceGapError as gap:
            self._gap(gap, path, number, (event_ns, received))

    def _trade(self, message: Trade, received: int, path: Path, number: int) -> None:
        self.futures |= message.X != ""
        if message.t <= self._last_trade:
            self._count("duplicate_trade", path, number)
            return
        if message.t > self._last_trade + 1 and self._last_trade >= 0:
            self._count("trade_id_gap", path, number)
        self._last_trade = message.t
        if message.p.strip("0.") == "" or message.q.strip("0.") == "":
            # Futures report insurance-fund and liquidation bookings as trades without price or size.
            self._count("void_trade", path, number)
            return
        event_ns = (message.T or message.E) * NS_PER_MS
        self._trades.rows.append((message.p, message.q, message.m, message.t, event_ns, received))

    def _step_back(self, received: int, path: Path, number: int) -> int:
        back = self._last_ns - received
        if back > _BACK_STEP_NS_MAX:
            raise DataError(
                f"{path.name} line {number}: receive time goes back by {back / 1e9:.3f} s",
                expected="lines in the order they were received, and files that continue each other",
                next_step="give files that do not overlap, or split the recording where its clock was set back",
            )
        self._count("time_backwards", path, number)
        return self._last_ns

    def _gap(self, gap: SequenceGapError, path: Path, number: int, times: tuple[int, int]) -> None:
        if self._gap_rule == "error":
            raise DataError(
                f"sequence gap in {path.name} line {number}: {gap}",
                expected="every depth update to follow the one before it",
                next_step="give the missing file, or `--option gaps=resync` to empty the book until the next snapshot",
            )
        self._count("sequence_gap", path, number, str(gap))
        self._book.lose_sync(*times)

    def _count(self, code: str, path: Path, number: int, what: str = "") -> None:
        self._counts[code] = self._counts.get(code, 0) + 1
        examples = self._examples.setdefault(code, [])
        if len(examples) < DEFECT_EXAMPLES_MAX:
            examples.append(f"{path.name} line {number}{': ' if what else ''}{what}")

    def finish(self, paths: Sequence[Path]) -> None:
        """Convert what is left and refuse a recording without a usable book or without market data.

        Raises
        ------
        DataError
            Depth updates without a snapshot that fits, or no market data at all.

        """
        names = ", ".join(p.name for p in paths)
        if self._depth_messages and not self._book.applied:
            found = f"{self._snapshots} depth snapshots, none of which fits" if self._snapshots else "no depth snapshot"
            raise DataError(
                f"{names}: {self._depth_messages} depth updates, but {found}",
                expected='a line {"lastUpdateId": ..., "bids": ..., "asks": ...} within the updates',
                next_step="give the files from the start of the recording, in one command",
            )
        self._collect(1)
        if not self.symbol:
            raise DataError(
                f"{names}: no depth, trade or bookTicker messages",
                expected="at least one",
                next_step="check that the file is a binance-raw recording",
            )

    def report(self, recording: Recording, market: str, shift_ns: int) -> None:
        """Fill in the recording's defects and facts."""
        book, shift_ms = self._book, shift_ns // NS_PER_MS
        counts = {
            **self._counts,
            "clock_shift": self._lines if shift_ns else 0,
            "crossed_book": book.crossed,
            "duplicate_depth": book.duplicates,
            "extra_snapshot": book.extra_snapshots,
            "stale_snapshot": book.stale_snapshots,
            "unknown_level_delete": book.unknown_deletes,
            "unsynchronised_depth": book.waiting,
        }
        recording.defects += [
            Defect(code, count, _ACTIONS[code].format(shift_ms), tuple(self._examples.get(code, ())))
            for code, count in sorted(counts.items())
            if count
        ]
        recording.facts.update(
            market=market,
            symbol=self.symbol,
            lines=self._lines,
            depth_messages=self._depth_messages,
            depth_events=book.applied,
            gaps=self._counts.get("sequence_gap", 0),
            crossed=book.crossed,
            clock_shift_ms=shift_ms,
            least_latency_us=None if self.least_ns is None else self.least_ns // 1000,
        )
