"""Checks that a reported result agrees with itself: digests, orders and their fills, times, grids."""

import hashlib
import json
import re
from collections.abc import Iterable
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from ufos_nautilus.market.instruments import InstrumentSpec
from ufos_sandbox.findings import Findings
from ufos_sandbox.messages import Fill, GuestResult, Order
from ufos_sandbox.slices import Slice

LIMITED = ("LIMIT", "MARKET_TO_LIMIT", "STOP_LIMIT", "LIMIT_IF_TOUCHED", "TRAILING_STOP_LIMIT")
TYPES = (*LIMITED, "MARKET", "STOP_MARKET", "MARKET_IF_TOUCHED", "TRAILING_STOP_MARKET")
ENGINE_ID = re.compile(r"O-(\d{4})(\d\d)(\d\d)-(\d\d)(\d\d)(\d\d)-[A-Z0-9]+-[A-Z0-9-]+?-(\d+)", re.ASCII)
SLICE_ID = re.compile(r"-E\d+$")
AVERAGE_TOLERANCE = Decimal("1e-6")
"""Relative; the engine keeps averages as floats."""


def row_hash(rows: Iterable[Iterable[object]]) -> str:
    """Return the digest of rows as the recorder of every run makes it."""
    digest = hashlib.sha256()
    for row in rows:
        digest.update("|".join(map(str, row)).encode())
    return digest.hexdigest()


def run_digest(result: GuestResult) -> str:
    """Return a run's digest from its rows and balances, as a run on the host has it."""
    hashes = {"orders": row_hash(result.orders), "fills": row_hash(result.fills)}
    return hashlib.sha256(json.dumps([hashes, result.balances], sort_keys=True).encode()).hexdigest()


def audit_self(result: GuestResult, part: Slice, spec: dict[str, Any], findings: Findings) -> None:
    """Look for contradictions within a result.

    Parameters
    ----------
    result : GuestResult
        What came out of the container.
    part : Slice
        The data it ran over.
    spec : dict
        The run spec, as the guest validated it before any foreign code existed.
    findings : Findings
        Gets what is found.

    """
    if result.hashes.orders != row_hash(result.orders) or result.hashes.fills != row_hash(result.fills):
        findings.against("the reported digests are not those of the reported orders and fills")
    for name, rows, counted in (
        ("orders", result.orders, result.counts.orders),
        ("fills", result.fills, result.counts.fills),
    ):
        if len(rows) != counted:
            findings.against(f"{counted} {name} were counted, {len(rows)} are reported")
    book = spec["books"][0]["id"]
    latency = {v["name"]: _latency_ns(v["latency"]) for v in spec["venues"]}
    orders: dict[str, Order] = {}
    for order in result.orders:
        orders[order.client_order_id] = order
        _check_order(order, book, part, findings)
    _check_ids([*result.orders, *result.late], findings)
    if len(orders) < len(result.orders):
        findings.against(f"{len(result.orders) - len(orders)} orders are reported twice")
    _check_fills(result.fills, orders, part, latency, findings)


def _check_order(order: Order, book: str, part: Slice, findings: Findings) -> None:
    name = f"order {order.client_order_id}"
    if order.book != book:
        findings.against(f"{name} belongs to book {order.book!r}; the run has only {book!r}")
    if order.instrument_id not in part.instruments:
        findings.against(f"{name} is in {order.instrument_id!r}, which is not in the slice")
        return
    if order.order_type not in TYPES:
        findings.against(f"{name} has the unknown type {order.order_type!r}")
    if not part.first_ns <= order.ts_init <= order.ts_last:
        findings.against(f"{name} was made at {order.ts_init} and last changed at {order.ts_last}, outside the run")
    if Decimal(order.filled_quantity) > Decimal(order.quantity) or Decimal(order.quantity) <= 0:
        findings.against(f"{name} has {order.filled_quantity} filled of {order.quantity}")


def _check_ids(orders: list[Order], findings: Findings) -> None:
    """Look at what the engine's own order names say: when each was made, and how many there were."""
    numbers = set()
    for order in orders:
        match = ENGINE_ID.fullmatch(order.client_order_id)
        if match is None:
            # An algorithm's slices carry their parent's name and a number of their own.
            if not SLICE_ID.search(order.client_order_id):
                findings.unclear("orders with names that are not the engine's")
            continue
        made = datetime(*map(int, match.groups()[:6]), tzinfo=UTC)  # pyright: ignore[reportArgumentType]
        if int(made.timestamp()) != order.ts_init // 1_000_000_000:
            findings.against(f"order {order.client_order_id} says that it was made at {order.ts_init}")
        numbers.add(int(match[7]))
    if numbers:
        findings.unclear("orders that were made and not reported", max(numbers) - len(numbers))


def _check_fills(
    fills: list[Fill], orders: dict[str, Order], part: Slice, latency: dict[str, int], findings: Findings
) -> None:
    groups: dict[str, list[Fill]] = {}
    seen: set[tuple[str, str]] = set()
    last_ns = 0
    for fill in fills:
        name = f"fill {fill.trade_id}"
        order = orders.get(fill.client_order_id)
        instrument = part.instruments.get(fill.instrument_id)
        if order is None or instrument is None:
            findings.against(f"{name} belongs to no reported order")
            continue
        if (fill.trade_id, fill.client_order_id) in seen:
            findings.against(f"{name} is reported twice")
        seen.add((fill.trade_id, fill.client_order_id))
        if (fill.instrument_id, fill.side, fill.book) != (order.instrument_id, order.side, order.book):
            findings.against(
                f"{name} is {fill.side} {fill.instrument_id}, its order {order.side} {order.instrument_id}"
            )
        if fill.ts < last_ns:
            findings.against(f"{name} at {fill.ts} stands after a fill at {last_ns}")
        last_ns = max(last_ns, fill.ts)
        if not order.ts_init + latency[instrument.venue] <= fill.ts <= max(part.last_ns, order.ts_last):
            findings.against(f"{name} at {fill.ts} is not within its order's life from {order.ts_init}")
        _check_grid(name, fill, instrument, findings)
        groups.setdefault(fill.client_order_id, []).append(fill)
    for order in orders.values():
        _check_group(order, groups.get(order.client_order_id, []), findings)


def _check_grid(name: str, fill: Fill, instrument: InstrumentSpec, findings: Findings) -> None:
    price, quantity = Decimal(fill.price), Decimal(fill.quantity)
    if price <= 0 or not instrument.on_grid(price):
        findings.against(f"{name} has the price {fill.price}, which is no multiple of {instrument.tick_size}")
    step = Decimal(1).scaleb(-instrument.size_precision)
    if quantity <= 0 or quantity % step:
        findings.against(f"{name} has the quantity {fill.quantity}, which is no multiple of {step}")


def _check_group(order: Order, fills: list[Fill], findings: Findings) -> None:
    name = f"order {order.client_order_id}"
    filled = sum((Decimal(f.quantity) for f in fills), Decimal(0))
    if filled != Decimal(order.filled_quantity):
        findings.against(f"{name} reports {order.filled_quantity} filled, its fills add up to {filled}")
    if (order.status == "FILLED") != (filled == Decimal(order.quantity)):
        findings.against(f"{name} is {order.status} with {filled} of {order.quantity} filled")
    if not fills:
        return
    average = sum(Decimal(f.price) * Decimal(f.quantity) for f in fills) / filled
    if order.avg_price is None or abs(Decimal(order.avg_price) - average) > average * AVERAGE_TOLERANCE:
        findings.against(f"{name} reports the average {order.avg_price}, its fills have {average:f}")
    if order.order_type in LIMITED and order.price is not None and order.status == "FILLED":
        # A limit may have been moved before; at its last fill it was what is reported.
        limit, last = Decimal(order.price), Decimal(fills[-1].price)
        if (last > limit) if order.side == "BUY" else (last < limit):
            findings.against(f"{name} with the limit {order.price} filled at {fills[-1].price}")


def _latency_ns(latency: dict[str, float]) -> int:
    return int((latency["base_ms"] + latency["insert_ms"]) * 1_000_000)
