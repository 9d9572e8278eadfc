"""Looks for knowledge of the future: the same code on data that ends early must have done the same until then.

The data is cut at instants at which the full run decided to trade, and at instants drawn at random.
"""

import hashlib
from dataclasses import dataclass
from decimal import Decimal
from random import Random

from ufos_sandbox.messages import Fill, GuestResult, Order
from ufos_sandbox.slices import Slice

EARLIEST_SHARE = 0.02
"""No cut lies in this first part of the slice, where nothing much has happened yet."""


@dataclass(frozen=True, slots=True)
class Cut:
    """One instant at which the data is made to end."""

    ns: int
    why: str


def choose_cuts(result: GuestResult, part: Slice, code: str, count: int) -> list[Cut]:
    """Return instants to cut at: by turns one at which a position was opened or added to, and one anywhere.

    There, an order that rests on what comes next can't be repeated, and it is open how the trade will end; in
    between, trades that were left out because of how they ended show up. The draw depends on code, data and result,
    so that it can be repeated, and not be foreseen by the code alone.
    """
    span = part.last_ns - part.first_ns
    earliest = part.first_ns + int(span * EARLIEST_SHARE)
    seed = hashlib.sha256(f"{part.digest}|{result.hashes.orders}|{result.hashes.fills}".encode() + code.encode())
    rng = Random(seed.digest())  # noqa: S311 - repeatable on purpose
    entries = opening_orders(result)
    sent = {o.ts_init for o in result.orders if o.client_order_id in entries}
    decisions = sorted(ns for ns in sent if earliest <= ns < part.last_ns)
    cuts: list[Cut] = []
    for n in range(count):
        if n % 2 == 0 and decisions:
            cuts.append(Cut(decisions.pop(rng.randrange(len(decisions))), "a position was opened then"))
        else:
            cuts.append(Cut(earliest + rng.randrange(max(1, part.last_ns - earliest)), "drawn at random"))
    return cuts


def opening_orders(result: GuestResult) -> set[str]:
    """Return the orders whose fills made a position larger."""
    held: dict[str, Decimal] = {}
    out = set()
    for fill in result.fills:
        before = held.get(fill.instrument_id, Decimal(0))
        after = before + (Decimal(fill.quantity) if fill.side == "BUY" else -Decimal(fill.quantity))
        held[fill.instrument_id] = after
        if abs(after) > abs(before) or before * after < 0:
            out.add(fill.client_order_id)
    return out


def compare(whole: GuestResult, early: GuestResult, cut_ns: int) -> str:
    """Return what differs before the cut, or an empty text.

    Parameters
    ----------
    whole, early : GuestResult
        Of the full data, and of the data up to the cut.
    cut_ns : int
        Last instant of the shortened data.

    """
    orders = _differing(
        [_sent(o) for o in _in_order(whole.orders + whole.late) if o.ts_init <= cut_ns],
        # What a book sends when it stops comes after all it sent before.
        [_sent(o) for o in _in_order(early.orders + early.late) if o.ts_init <= cut_ns],
        "order",
        prefix=True,
    )
    if orders:
        return orders
    done = {o.client_order_id: tuple(o) for o in early.orders}
    for order in whole.orders:
        if order.ts_last < cut_ns and done.get(order.client_order_id) != tuple(order):
            return f"order {order.client_order_id} had ended before the cut, differently"
    # A book may trade when it stops, which is at the cut.
    early_fills = [_done(f) for f in early.fills if f.ts <= cut_ns]
    fills = _differing([_done(f) for f in whole.fills if f.ts <= cut_ns], early_fills, "fill", prefix=True)
    before = sum(f.ts < cut_ns for f in whole.fills)
    if not fills and sum(f.ts < cut_ns for f in early.fills) > before:
        return f"without the future there is one more fill: {_show(early_fills[before])}"
    return fills


def _in_order(orders: list[Order]) -> list[Order]:
    return sorted(orders, key=lambda o: (o.ts_init, _number(o.client_order_id), o.client_order_id))


def _number(client_order_id: str) -> int:
    tail = client_order_id.rpartition("-")[2]
    return int(tail) if tail.isdigit() else 0


def _sent(order: Order) -> tuple[object, ...]:
    return order.ts_init, order.instrument_id, order.side, order.order_type, order.client_order_id


def _done(fill: Fill) -> tuple[object, ...]:
    return fill.ts, fill.instrument_id, fill.side, fill.quantity, fill.price


def _differing(
    whole: list[tuple[object, ...]], early: list[tuple[object, ...]], what: str, *, prefix: bool = False
) -> str:
    for n, entry in enumerate(whole):
        if n >= len(early):
            return f"{what} {n + 1} of the full run ({_show(entry)}) is missing without the future"
        if early[n] != entry:
            return f"{what} {n + 1} is {_show(entry)} in the full run and {_show(early[n])} without the future"
    if not prefix and len(early) > len(whole):
        return f"without the future there is one more {what}: {_show(early[len(whole)])}"
    return ""


def _show(entry: tuple[object, ...]) -> str:
    return " ".join(str(part) for part in entry)
