"""Builds the book of a raw Binance recording: joins the snapshot to the updates and turns both into delta rows."""

from collections import deque
from heapq import heapify, heappop, heappush
from typing import Final, Literal

from ufos_adapters.files.binance_lines import Depth, Levels, Snapshot
from ufos_adapters.files.binance_rows import ADD, CLEAR, DELETE, SELL, UPDATE, DeltaRows
from ufos_nautilus.limits import DEPTH_BUFFER_MESSAGES_MAX
from ufos_nautilus.market.tables import F_SNAPSHOT

GapRule = Literal["error", "resync"]

_ZEROS: Final = frozenset(["0", "0.", *("0." + "0" * n for n in range(1, 19))])
_HEAP_SLACK: Final = 4_096


class SequenceGapError(Exception):
    """An update is missing; carries what was expected and what came."""


class _Side:
    """The known price levels of one side and its best price.

    Levels are told apart by their price as a float: decimal texts of up to 15 digits map to distinct floats, however
    many zeros they end in. No price is ever computed from it.
    """

    def __init__(self, sign: int) -> None:
        self.sign = sign
        self.levels: set[float] = set()
        self._heap: list[float] = []

    def replace(self, levels: set[float]) -> None:
        self.levels = levels
        self._heap = [self.sign * p for p in levels]
        heapify(self._heap)

    def best(self) -> float | None:
        """Return the best price; deleted levels leave the heap only when they reach its top."""
        heap, levels, sign = self._heap, self.levels, self.sign
        while heap and sign * heap[0] not in levels:
            heappop(heap)
        return sign * heap[0] if heap else None

    def apply(self, changes: Levels, rows: DeltaRows, base: int) -> int:
        """Add the rows of one message's side; returns how many deletes of unknown levels were left out."""
        levels, heap, sign = self.levels, self._heap, self.sign
        price_of, size_of, code_of = rows.prices.append, rows.sizes.append, rows.codes.append
        add, update, delete = base + ADD, base + UPDATE, base + DELETE
        unknown = 0
        for price, size in changes:
            key = float(price)
            if size in _ZEROS:
                if key not in levels:
                    unknown += 1
                    continue
                levels.remove(key)
                code_of(delete)
            elif key in levels:
                code_of(update)
            else:
                levels.add(key)
                heappush(heap, sign * key)
                code_of(add)
            price_of(price)
            size_of(size)
        if len(heap) > 2 * len(levels) + _HEAP_SLACK:
            self.replace(levels)
        return unknown


class BookJoin:
    """Keeps depth updates until a snapshot fits them, then applies them in sequence.

    Futures chain their updates by `pu`, the id of the update before; spot numbers them without holes from `U` to `u`.
    """

    def __init__(self) -> None:
        self.rows = DeltaRows()
        self.synced = False
        self.waiting = 0
        self._buffered: deque[tuple[Depth, int]] = deque(maxlen=DEPTH_BUFFER_MESSAGES_MAX)
        self._fresh_snapshot = False
        self.applied = self.unknown_deletes = self.duplicates = self.crossed = self.extra_snapshots = 0
        self.stale_snapshots = 0
        self._last = -1
        self._bids, self._asks = _Side(-1), _Side(1)

    def on_depth(self, message: Depth, event_ns: int, init_ns: int) -> None:
        """Take one update.

        Raises
        ------
        SequenceGapError
            Updates between the last one and this one are missing.

        """
        if not self.synced:
            self.waiting += 1
            self._buffered.append((message, event_ns))
            return
        if message.u <= self._last:
            # Until the first update after a snapshot these are what the snapshot already has, not repeats.
            self.duplicates += not self._fresh_snapshot
            return
        self._check(message)
        self._fresh_snapshot = False
        self.unknown_deletes += self._bids.apply(message.b, self.rows, 0)
        self.unknown_deletes += self._asks.apply(message.a, self.rows, SELL)
        self._end_event(message.u, event_ns, init_ns)

    def on_snapshot(self, snapshot: Snapshot, event_ns: int, init_ns: int) -> None:
        """Take a snapshot: start the book from it and the updates kept, or leave it out where it is not needed.

        Raises
        ------
        SequenceGapError
            Among the updates kept one is missing.

        """
        if self.synced:
            self.extra_snapshots += 1
            return
        start = snapshot.lastUpdateId
        fresh = [(m, ns) for m, ns in self._buffered if m.u > start or (m.u == start and m.pu >= 0)]
        if fresh and self._missing(fresh[0][0], start):
            self.stale_snapshots += 1
            return
        bids = {float(p): (p, q) for p, q in snapshot.bids if q not in _ZEROS}
        asks = {float(p): (p, q) for p, q in snapshot.asks if q not in _ZEROS}
        self._last = start
        for message, update_ns in fresh:
            self._check(message)
            self._merge(bids, message.b)
            self._merge(asks, message.a)
            self._last, event_ns = message.u, max(event_ns, update_ns)
        self._buffered.clear()
        self.waiting = 0
        self.synced = self._fresh_snapshot = True
        self._start_book(bids, asks, (event_ns, init_ns))

    def lose_sync(self, event_ns: int, init_ns: int) -> None:
        """Empty the book after a gap; the next snapshot that fits starts it again."""
        self.synced = False
        self._bids.replace(set())
        self._asks.replace(set())
        self._add("0", "0", CLEAR)
        self.rows.close_event(max(self._last, 0), event_ns, init_ns)

    def _start_book(
        self, bids: dict[float, tuple[str, str]], asks: dict[float, tuple[str, str]], times: tuple[int, int]
    ) -> None:
        self._bids.replace(set(bids))
        self._asks.replace(set(asks))
        self._add("0", "0", CLEAR)
        for price, size in (bids[p] for p in sorted(bids, reverse=True)):
            self._add(price, size, ADD)
        for price, size in (asks[p] for p in sorted(asks)):
            self._add(price, size, SELL + ADD)
        self._end_event(self._last, *times, F_SNAPSHOT)

    def _add(self, price: str, size: str, code: int) -> None:
        self.rows.prices.append(price)
        self.rows.sizes.append(size)
        self.rows.codes.append(code)

    def _end_event(self, last: int, event_ns: int, init_ns: int, flag: int = 0) -> None:
        self._last = last
        self.applied += 1
        self.rows.close_event(last, event_ns, init_ns, flag)
        bid, ask = self._bids.best(), self._asks.best()
        if bid is not None and ask is not None and bid >= ask:
            self.crossed += 1

    @staticmethod
    def _merge(side: dict[float, tuple[str, str]], changes: Levels) -> None:
        for price, size in changes:
            if size in _ZEROS:
                side.pop(float(price), None)
            else:
                side[float(price)] = (price, size)

    def _missing(self, message: Depth, last: int) -> bool:
        # `pu` may lie before `last`: then the message covers what the snapshot already has, and nothing is missing.
        return (message.pu > last) if message.pu >= 0 else (last + 1 < message.U)

    def _check(self, message: Depth) -> None:
        if self._missing(message, self._last):
            came = f"pu {message.pu}" if message.pu >= 0 else f"U {message.U}"
            raise SequenceGapError(f"after update {self._last} came {came} to u {message.u}")
