"""How long a desk was in the market and at its best price, by time and not by event."""

from typing import Any

NS = 1e-9


class Presence:
    """Adds up the time between market events under what stood before each of them."""

    __slots__ = ("_at_ask", "_at_bid", "_bid", "_last_ns", "_two", "at_best_ask_ns", "at_best_bid_ns", "quoted_ns",
                 "total_ns", "two_sided_ns")  # fmt: skip

    def __init__(self) -> None:
        self._last_ns = -1
        self._two = self._at_bid = self._at_ask = self._bid = False
        self.total_ns = self.quoted_ns = self.two_sided_ns = self.at_best_bid_ns = self.at_best_ask_ns = 0

    def update(self, now_ns: int, bid: int | None, ask: int | None, best_bid: int, best_ask: int) -> None:
        """Take in what stands from now on: own quotes and the market's best, ticks."""
        elapsed = now_ns - self._last_ns
        if self._last_ns >= 0:
            self.total_ns += elapsed
            if self._bid:
                self.quoted_ns += elapsed
                if self._two:
                    self.two_sided_ns += elapsed
                if self._at_bid:
                    self.at_best_bid_ns += elapsed
                if self._at_ask:
                    self.at_best_ask_ns += elapsed
        self._last_ns = now_ns
        self._bid = bid is not None or ask is not None
        self._two = bid is not None and ask is not None
        self._at_bid = bid is not None and bid >= best_bid
        self._at_ask = ask is not None and ask <= best_ask

    def figures(self) -> dict[str, Any]:
        """Return shares of the time since the first event, rounded for the result."""
        total = self.total_ns or 1
        return {
            "seconds": round(self.total_ns * NS, 3),
            "quoted": round(self.quoted_ns / total, 6),
            "two_sided": round(self.two_sided_ns / total, 6),
            "at_best_bid": round(self.at_best_bid_ns / total, 6),
            "at_best_ask": round(self.at_best_ask_ns / total, 6),
        }
