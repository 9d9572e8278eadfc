"""Builds small raw Binance recordings, right ones and wrong ones."""

import gzip
import json
from pathlib import Path
from typing import Any

START_MS = 1_700_000_000_000
LAG_NS = -1_269_300_000
"""Receive time less exchange time: the recorder's clock is behind."""

Levels = list[tuple[str, str]]


class RawRecording:
    """Lines of one instrument, a tenth of a second apart; `spot`, `usdm` or `cm`."""

    def __init__(self, market: str = "usdm", symbol: str = "BTCUSDT") -> None:
        self.market, self.symbol = market, symbol
        self.lines: list[str] = []
        self.ms = START_MS
        self.last = 100

    def add(self, body: dict[str, Any], *, lag_ns: int = LAG_NS) -> None:
        """Add any message; time goes on."""
        self.lines.append(f"{self.ms * 1_000_000 + lag_ns} {json.dumps(body, separators=(',', ':'))}")
        self.ms += 100

    def stream(self, name: str, data: dict[str, Any]) -> None:
        """Add a stream message with this market's times."""
        times: dict[str, Any] = {"E": self.ms} | ({} if self.market == "spot" else {"T": self.ms - 1})
        pair = {"ps": self.symbol.partition("_")[0]} if self.market == "cm" else {}
        common = {} if (self.market, name) == ("spot", "bookTicker") else times
        self.add({"stream": f"{self.symbol.lower()}@{name}", "data": {"s": self.symbol, **common, **pair, **data}})

    def depth(self, bids: Levels = (), asks: Levels = (), *, skip: int = 0) -> None:  # type: ignore[assignment]
        """Add a depth update of two ids; `skip` ids are lost before it."""
        before, first = self.last + skip, self.last + skip + 1
        self.last = first + 1
        chain = {} if self.market == "spot" else {"pu": before}
        self.stream("depth@100ms", {"U": first, "u": self.last, **chain, "b": bids, "a": asks})

    def snapshot(self, bids: Levels, asks: Levels, *, last_id: int | None = None) -> None:
        """Add a depth snapshot as of the last update."""
        times = {} if self.market == "spot" else {"E": self.ms, "T": self.ms - 1}
        last_id = self.last if last_id is None else last_id
        self.add({"lastUpdateId": last_id, **times, "bids": bids, "asks": asks})

    def trade(self, number: int, price: str, size: str = "0.010", *, buyer_is_maker: bool = False) -> None:
        """Add a trade."""
        kind = {"M": True} if self.market == "spot" else {"X": "MARKET"}
        self.stream("trade", {"e": "trade", "t": number, "p": price, "q": size, "m": buyer_is_maker, **kind})

    def ticker(self, bid: str, ask: str, size: str = "1.000") -> None:
        """Add a best bid and ask."""
        self.stream("bookTicker", {"u": self.last, "b": bid, "B": size, "a": ask, "A": size})

    def write(self, path: Path, lines: list[str] | None = None) -> Path:
        """Write the lines (all unless given), packed where the name ends in .gz."""
        text = "".join(f"{line}\n" for line in (self.lines if lines is None else lines)).encode()
        path.write_bytes(gzip.compress(text, mtime=0) if path.suffix == ".gz" else text)
        return path


def good(market: str = "usdm", symbol: str = "BTCUSDT") -> RawRecording:
    """A recording with an update before the snapshot, and one of each kind of change after it."""
    raw = RawRecording(market, symbol)
    raw.depth([("99.90", "5.000")], [("100.10", "5.000")])
    raw.depth([("99.80", "4.000")], [("100.10", "6.000")])
    raw.snapshot(
        [("99.90", "5.000"), ("99.80", "3.000"), ("99.70", "1.000")],
        [("100.10", "5.000"), ("100.20", "2.000")],
        last_id=raw.last - 2,
    )
    raw.ticker("99.90", "100.10")
    raw.depth([("99.90", "0.000"), ("90.00", "0.000")], [("100.00", "7.000")])
    raw.trade(1, "100.00", buyer_is_maker=False)
    raw.trade(2, "99.80", "0.023", buyer_is_maker=True)
    raw.depth([], [("100.10", "6.500")])
    raw.ticker("99.80", "100.00")
    return raw
