"""First pass over a raw Binance recording: which market, which price grid, and how far the recorder's clock is off."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Final, Literal

import polars as pl

from ufos_adapters.files.binance_lines import Depth, Levels, Line, Snapshot, Ticker, Trade, bad_line, lines, raw_lines
from ufos_nautilus.errors import DataError, SpecError
from ufos_nautilus.market.instruments import InstrumentSpec
from ufos_nautilus.market.recording import ReadOptions
from ufos_nautilus.market.tables import DECIMAL, decimals, grid_below

Market = Literal["spot", "usdm", "cm"]

_MS: Final = 1_000_000
_VENUE: Final = "BINANCE"
_QUOTES: Final = (
    *("USDT", "FDUSD", "USDC", "TUSD", "BUSD", "USDP", "USDS", "USD1", "XUSD", "RLUSD", "BFUSD", "USDE", "DAI", "PAX"),
    *(
        "BTC",
        "ETH",
        "BNB",
        "SOL",
        "XRP",
        "TRX",
        "DOGE",
        "DOT",
        "EUR",
        "EURI",
        "AEUR",
        "GBP",
        "TRY",
        "BRL",
        "AUD",
        "JPY",
    ),
    *(
        "RUB",
        "UAH",
        "NGN",
        "ZAR",
        "PLN",
        "RON",
        "ARS",
        "MXN",
        "CZK",
        "COP",
        "IDR",
        "IDRT",
        "BIDR",
        "BKRW",
        "VAI",
        "USD",
    ),
)
_CONTRACT_USD: Final = {"BTC": Decimal(100)}
_CONTRACT_USD_OTHER: Final = Decimal(10)
_DISTINCT_BATCH: Final = 100_000


@dataclass(slots=True)
class Survey:
    """What a first pass found.

    Parameters
    ----------
    market, symbol : str
        Derived from the messages' fields.
    instrument : InstrumentSpec
        With the grid found in all prices and sizes, unless options gave it.
    shift_ns : int
        Added to every receive time, so that the least latency is positive; a whole number of milliseconds.
    least_latency_ns : int or None
        Before the shift; None where no message carries a time.
    depth_messages, snapshots : int
        How many there are.

    """

    market: Market
    symbol: str
    instrument: InstrumentSpec
    shift_ns: int
    least_latency_ns: int | None
    depth_messages: int
    snapshots: int


class _Column:
    """The greatest common divisor of a column of decimal texts, taken in batches of distinct ones."""

    def __init__(self) -> None:
        self.texts: set[str] = set()
        self.divisor = 0

    def fold(self) -> None:
        """Take the batch in; raises `_BadText` for one that is no decimal of zero or more."""
        if not self.texts:
            return
        series = pl.Series(sorted(self.texts), dtype=pl.String)
        numbers = series.cast(DECIMAL, strict=False)
        if numbers.null_count() or numbers.min() < 0:  # type: ignore[operator]
            raise _BadText(series.filter(numbers.is_null() | (numbers < 0))[0])
        self.divisor = math.gcd(self.divisor, *(int(n) for n in numbers.to_physical().to_list()))
        self.texts.clear()

    def step(self) -> Decimal:
        """Return the step, never above 1: a coarser one can't be told from too few values."""
        return (
            min(grid_below(Decimal(self.divisor).scaleb(-DECIMAL.scale))[0], Decimal(1)) if self.divisor else Decimal(1)
        )


class _BadText(ValueError):
    """A price or size that is no number."""


class _Grid:
    """Prices and sizes, folded now and then so that memory stays bounded."""

    def __init__(self) -> None:
        self.prices = _Column()
        self.sizes = _Column()
        self._levels: Levels = []

    def add(self, prices: Iterable[str], sizes: Iterable[str]) -> None:
        """Take single prices and sizes."""
        self.prices.texts.update(prices)
        self.sizes.texts.update(sizes)

    def add_levels(self, levels: Levels) -> None:
        """Take the levels of a message."""
        self._levels += levels
        if len(self._levels) >= _DISTINCT_BATCH:
            self.fold()

    def fold(self) -> None:
        """Bring the divisors up to date."""
        if self._levels:
            self.add(*zip(*self._levels, strict=True))
            self._levels.clear()
        self.prices.fold()
        self.sizes.fold()


class _Pass:
    """Accumulates one message after the other."""

    def __init__(self) -> None:
        self.grid = _Grid()
        self.least: int | None = None
        self.symbols: dict[str, str] = {}
        self.futures = self.coin = False
        self.depth_messages = self.snapshots = 0

    def see(self, line: Line, where: str) -> None:
        message = line.message
        if isinstance(message, Ticker):
            self.grid.add((message.b, message.a), (message.B, message.A))
            self.futures |= message.T > 0
        elif isinstance(message, Depth):
            self.grid.add_levels(message.b)
            self.grid.add_levels(message.a)
            self.depth_messages += 1
            self.futures |= message.pu >= 0
            self.coin |= message.ps != ""
        elif isinstance(message, Trade):
            self.grid.add((message.p,), (message.q,))
            self.futures |= message.X != ""
        elif isinstance(message, Snapshot):
            self.grid.add_levels(message.bids)
            self.grid.add_levels(message.asks)
            self.snapshots += 1
        else:
            return
        if message.E:
            latency = line.received_ns - message.E * _MS
            if self.least is None or latency < self.least:
                self.least = latency
        if not isinstance(message, Snapshot):
            self.symbols.setdefault(message.s, where)


def survey(paths: Sequence[Path], options: ReadOptions) -> Survey:
    """Read all files once.

    Raises
    ------
    DataError
        A bad line, more than one instrument, no market data, or depth updates without a snapshot.

    """
    seen = _Pass()
    try:
        for path in paths:
            for line in lines(path):
                seen.see(line, path.name)
        seen.grid.fold()
    except _BadText as error:
        raise _locate(paths, str(error)) from error
    if len(seen.symbols) != 1:
        found = ", ".join(f"{symbol} ({where})" for symbol, where in seen.symbols.items()) or "none"
        raise DataError(
            f"the files hold these instruments: {found}",
            expected="one recording of one instrument",
            next_step="import each recording by itself",
        )
    if seen.depth_messages and not seen.snapshots:
        raise DataError(
            f"{', '.join(p.name for p in paths)}: depth updates, but no depth snapshot to build the book from",
            expected='one line {"lastUpdateId": ..., "bids": ..., "asks": ...}',
            next_step="give the files from the start of the recording, in one command",
        )
    symbol = next(iter(seen.symbols))
    market: Market = "cm" if seen.coin or (seen.futures and "USD_" in symbol) else "usdm" if seen.futures else "spot"
    return Survey(
        market=market,
        symbol=symbol,
        instrument=_instrument(market, symbol, seen.grid, options),
        shift_ns=clock_shift_ns(seen.least),
        least_latency_ns=seen.least,
        depth_messages=seen.depth_messages,
        snapshots=seen.snapshots,
    )


def clock_shift_ns(least_latency_ns: int | None) -> int:
    """Return the least whole number of milliseconds, in ns, that makes the least latency positive; 0 where it is."""
    if least_latency_ns is None or least_latency_ns > 0:
        return 0
    return (-least_latency_ns // _MS + 1) * _MS


def _instrument(market: Market, symbol: str, grid: _Grid, options: ReadOptions) -> InstrumentSpec:
    tick = _given("tick", options.tick_size) or grid.prices.step()
    lot = _given("lot", options.lot_size) or grid.sizes.step()
    base, quote = _currencies(market, symbol)
    name = symbol if market == "spot" else f"{base}{quote}-PERP"
    coin = market == "cm"
    return InstrumentSpec(
        instrument_id=options.instrument_id or f"{name}.{_VENUE}",
        kind="currency_pair" if market == "spot" else "crypto_perpetual",
        base=base,
        quote=quote,
        settlement=base if coin else quote,
        tick_size=tick,
        lot_size=lot,
        price_precision=decimals(tick),
        size_precision=decimals(lot),
        multiplier=_CONTRACT_USD.get(base, _CONTRACT_USD_OTHER) if coin else Decimal(1),
        inverse=coin,
    )


def _given(name: str, text: str) -> Decimal | None:
    if not text:
        return None
    try:
        return Decimal(text)
    except ArithmeticError as error:
        raise SpecError(f"--{name} is {text!r}", expected="a decimal such as 0.01") from error


def _locate(paths: Sequence[Path], text: str) -> DataError:
    """Find the line of a price or size that is no number."""
    quoted = f'"{text}"'.encode()
    for path in paths:
        for number, _, body in raw_lines(path):
            if quoted in body:
                return bad_line(path, number, f"{text!r} is no price or size")
    return DataError(f"{text!r} is no price or size")


def _currencies(market: Market, symbol: str) -> tuple[str, str]:
    pair, _, delivery = symbol.partition("_")
    if delivery not in ("", "PERP"):
        raise DataError(f"{symbol} is a delivery contract", expected="spot or a perpetual")
    quotes = ("USD",) if market == "cm" else sorted(_QUOTES, key=len, reverse=True)
    for quote in quotes:
        if pair.endswith(quote) and len(pair) > len(quote):
            return pair.removesuffix(quote), quote
    raise DataError(
        f"can't tell base and quote currency of {symbol}", expected="a symbol such as BTCUSDT or BTCUSD_PERP"
    )
