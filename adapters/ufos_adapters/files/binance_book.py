"""Builds the book of a raw Binance recording: joins the snapshot to the updates and turns both into delta rows."""

from collections.abc import Iterator
from heapq import heapify, heappop, heappush
from typing import Final, Literal

import polars as pl

from ufos_adapters.files.binance_lines import Depth, Levels, Snapshot
from ufos_nautilus.errors import LimitExceededError
from ufos_nautilus.limits import DEPTH_BUFFER_MESSAGES_MAX
from ufos_nautilus.market.tables import F_LAST, F_SNAPSHOT, decimal_column, utc_ns

GapRule = Literal["error", "resync"]

_ZEROS: Final = frozenset(["0", "0.", *("0." + "0" * n for n in range(1, 19))])
_ADD, _UPDATE, _DELETE, _SELL, _CLEAR = 0, 1, 2, 3, 6
_ACTIONS: Final = pl.Series(["ADD", "UPDATE", "DELETE"] * 2 + ["CLEAR"])
_SIDES: Final = pl.Series(["BUY"] * 3 + ["SELL"] * 3 + ["NO_ORDER_SIDE"])
_HEAP_SLACK: Final = 4_096


class SequenceGap(Exception):
    """An update is missing; carries what was expected and what came."""


class DeltaRows:
    """Columns of delta rows, collected as texts and integers and converted in bulk."""

    def __init__(self) -> None:
        self.prices: list[str] = []
        self.sizes: list[str] = []
        self.codes: list[int] = []
        self.flags: list[int] = []
        self.sequences: list[int] = []
        self.event_ns: list[int] = []
        self.init_ns: list[int] = []

    def close_event(self, sequence: int, event_ns: int, init_ns: int, flag: int = 0) -> None:
        """Give the rows added since the last event their times and flags."""
        rows = len(self.prices) - len(self.flags)
        if rows == 0:
            return
        self.flags += [flag] * (rows - 1)
        self.flags.append(flag | F_LAST)
        self.sequences += [sequence] * rows
        self.event_ns += [event_ns] * rows
        self.init_ns += [init_ns] * rows

    def take(self) -> pl.DataFrame:
        """Return the rows as a frame and start anew."""
        codes = pl.Series(self.codes, dtype=pl.UInt32)
        frame = pl.DataFrame(
            {
                "action": _ACTIONS.gather(codes),
                "side": _SIDES.gather(codes),
                "price": decimal_column(self.prices, "price"),
                "size": decimal_column(self.sizes, "size"),
                "order_id": pl.zeros(len(codes), pl.UInt64, eager=True),
                "flags": pl.Series(self.flags, dtype=pl.UInt8),
                "sequence": pl.Series(self.sequences, dtype=pl.UInt64),
                "ts_event": utc_ns(self.event_ns),
                "ts_init": utc_ns(self.init_ns),
            }
        )
        self.__init__()
        return frame


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
        prices, sizes, codes = rows.prices, rows.sizes, rows.codes
        unknown = 0
        for price, size in changes:
            key = float(price)
            if size in _ZEROS:
                if key not in levels:
                    unknown += 1
                    continue
                levels.remove(key)
                codes.append(base + _DELETE)
            elif key in levels:
                codes.append(base + _UPDATE)
            else:
                levels.add(key)
                heappush(heap, sign * key)
                codes.append(base + _ADD)
            prices.append(price)
            sizes.append(size)
        if len(heap) > 2 * len(levels) + _HEAP_SLACK:
            self.replace(levels)
        return unknown


class BookJoin:
    """Keeps depth updates until a snapshot fits them, then applies them in sequence.

    Parameters
    ----------
    futures : bool
        The sequence rule: `pu` on futures, `U` on spot.

    """

    def __init__(self, *, futures: bool) -> None:
        self.futures = futures
        self.rows = DeltaRows()
        self.synced = False
        self.buffered: list[tuple[Depth, int]] = []
        self.applied = self.unknown_deletes = self.duplicates = self.crossed = self.extra_snapshots = 0
        self.stale_snapshots = 0
        self._last = -1
        self._bids, self._asks = _Side(-1), _Side(1)

    def on_depth(self, message: Depth, event_ns: int, init_ns: int) -> None:
        """Take one update.

        Raises
        ------
        SequenceGap
            Updates between the last one and this one are missing.

        """
        if not self.synced:
            if len(self.buffered) >= DEPTH_BUFFER_MESSAGES_MAX:
                raise LimitExceededError(
                    f"{DEPTH_BUFFER_MESSAGES_MAX:,} depth updates without a depth snapshot that fits them",
                    expected="a snapshot within that many updates",
                )
            self.buffered.append((message, event_ns))
            return
        if message.u <= self._last:
            self.duplicates += 1
            return
        self._check(message)
        self.unknown_deletes += self._bids.apply(message.b, self.rows, 0)
        self.unknown_deletes += self._asks.apply(message.a, self.rows, _SELL)
        self._end_event(message.u, event_ns, init_ns)

    def on_snapshot(self, snapshot: Snapshot, event_ns: int, init_ns: int) -> None:
        """Take a snapshot: start the book from it and the updates kept, or leave it out where it is not needed.

        Raises
        ------
        SequenceGap
            Among the updates kept one is missing.

        """
        if self.synced:
            self.extra_snapshots += 1
            return
        start = snapshot.lastUpdateId
        fresh = [(m, ns) for m, ns in self.buffered if (m.u >= start if self.futures else m.u > start)]
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
        self.buffered.clear()
        self.synced = True
        self._start_book(bids, asks, (event_ns, init_ns))

    def lose_sync(self, event_ns: int, init_ns: int) -> None:
        """Empty the book after a gap; the next snapshot that fits starts it again."""
        self.synced = False
        self._bids.replace(set())
        self._asks.replace(set())
        self._add("0", "0", _CLEAR)
        self.rows.close_event(max(self._last, 0), event_ns, init_ns)

    def _start_book(
        self, bids: dict[float, tuple[str, str]], asks: dict[float, tuple[str, str]], times: tuple[int, int]
    ) -> None:
        self._bids.replace(set(bids))
        self._asks.replace(set(asks))
        self._add("0", "0", _CLEAR)
        for price, size in (bids[p] for p in sorted(bids, reverse=True)):
            self._add(price, size, _ADD)
        for price, size in (asks[p] for p in sorted(asks)):
            self._add(price, size, _SELL + _ADD)
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
        return message.pu > last if self.futures else last + 1 < message.U

    def _check(self, message: Depth) -> None:
        if self._missing(message, self._last):
            came = f"pu {message.pu}" if self.futures else f"U {message.U}"
            raise SequenceGap(f"after update {self._last} came {came} to u {message.u}")


def frames(rows: DeltaRows, batch_rows: int) -> Iterator[pl.DataFrame]:
    """Yield the collected rows once there are `batch_rows`."""
    if len(rows.prices) >= batch_rows:
        yield rows.take()
