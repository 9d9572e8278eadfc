"""Checks of order book deltas: rebuilds the best prices after every event, by level or by order."""

from heapq import heapify, heappop, heappush
from typing import Final

import polars as pl

from ufos_nautilus.limits import DEFECT_EXAMPLES_MAX
from ufos_nautilus.market.quality_rows import CROSSED_SHARE_MAX, Finding, RowCheck
from ufos_nautilus.market.tables import F_LAST, timestamp

_HEAP_SLACK: Final = 4_096


class _Side:
    """Orders (or whole levels, keyed by price) of one side, and its best price."""

    def __init__(self, sign: int) -> None:
        self._sign = sign
        self._prices: dict[int, int] = {}
        self._orders_at: dict[int, int] = {}
        self._heap: list[int] = []

    def put(self, key: int, price: int) -> bool:
        """Add or move an order; returns whether it was there."""
        old = self._prices.get(key)
        if old == price:
            return True
        if old is not None:
            self._leave(old)
        self._prices[key] = price
        orders = self._orders_at.get(price, 0)
        self._orders_at[price] = orders + 1
        if not orders:
            heappush(self._heap, self._sign * price)
        return old is not None

    def drop(self, key: int) -> bool:
        """Remove an order; returns whether it was there."""
        price = self._prices.pop(key, None)
        if price is None:
            return False
        self._leave(price)
        return True

    def _leave(self, price: int) -> None:
        self._orders_at[price] -= 1
        if not self._orders_at[price]:
            del self._orders_at[price]
        if len(self._heap) > 2 * len(self._orders_at) + _HEAP_SLACK:
            self._heap = [self._sign * p for p in self._orders_at]
            heapify(self._heap)

    def best(self) -> int | None:
        """Return the best price; deleted levels leave the heap only when they reach its top."""
        while self._heap and self._sign * self._heap[0] not in self._orders_at:
            heappop(self._heap)
        return self._sign * self._heap[0] if self._heap else None

    def clear(self) -> None:
        """Remove everything."""
        self._prices.clear()
        self._orders_at.clear()
        self._heap.clear()


class BookCheck(RowCheck):
    """Order book deltas."""

    def __init__(self) -> None:
        super().__init__()
        self._sides = {"BUY": _Side(-1), "SELL": _Side(1)}
        self._events = 0
        self._two_sided = False
        self._open = False
        self._places: dict[str, list[str]] = {}
        self._counts: dict[str, int] = {}

    def look(self, chunk: pl.DataFrame) -> None:
        """Apply the rows."""
        # Scaled integers: exact, and quicker than decimals.
        prices = chunk["price"].to_physical().to_list()
        columns = (chunk[c].to_list() for c in ("action", "side", "order_id", "flags"))
        times = chunk["ts_init"].to_physical().to_list()
        sides = self._sides
        flags = 0
        for action, side, order, flags, price, ns in zip(*columns, prices, times, strict=True):
            if action == "CLEAR":
                for one in sides.values():
                    one.clear()
            elif action == "DELETE":
                if not sides[side].drop(order or price):
                    self._note("unknown_order", ns, price)
            elif not sides[side].put(order or price, price) and action == "UPDATE":
                self._note("unknown_order", ns, price)
            if flags & F_LAST:
                self._end_event(ns)
        self._open = not flags & F_LAST

    def _end_event(self, ns: int) -> None:
        self._events += 1
        bid, ask = self._sides["BUY"].best(), self._sides["SELL"].best()
        if bid is None or ask is None:
            if self._two_sided and (bid is None) != (ask is None):
                self._note("one_sided_book", ns, bid if ask is None else ask)
            return
        self._two_sided = True
        if bid >= ask:
            self._note("crossed_book" if bid > ask else "locked_book", ns, bid)

    def _note(self, code: str, ns: int, price: int | None) -> None:
        self._counts[code] = self._counts.get(code, 0) + 1
        places = self._places.setdefault(code, [])
        if len(places) < DEFECT_EXAMPLES_MAX:
            places.append(f"{timestamp(ns)} price {(price or 0) / 10**16:g}")

    def finish(self) -> list[Finding]:
        """Return the findings."""
        crossed = self._counts.get("crossed_book", 0)
        severities = {
            "crossed_book": "error" if crossed > CROSSED_SHARE_MAX * self._events else "warning",
            "locked_book": "info",
            "one_sided_book": "warning",
            "unknown_order": "warning",
        }
        for code, count in self._counts.items():
            self.findings.add(code, severities[code], count, self._places[code])  # type: ignore[arg-type]
        self.findings.add("unfinished_event", "error", int(self._open), [timestamp(self._last_ns or 0)])
        return super().finish()
