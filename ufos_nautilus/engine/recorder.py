"""Writes down what books do as it happens: fills, closed orders, positions, samples of equity and inventory."""

import hashlib
from collections.abc import Collection
from decimal import Decimal
from pathlib import Path
from typing import Any, Self

from nautilus_trader.common import DataActor, DataActorConfig
from nautilus_trader.model import (
    ActorId,
    LiquiditySide,
    OrderCanceled,
    OrderDenied,
    OrderExpired,
    OrderFilled,
    OrderRejected,
    OrderSide,
    PositionClosed,
    Venue,
)

from ufos_nautilus.engine.gate import GateDenial
from ufos_nautilus.engine.guard import Guarded
from ufos_nautilus.engine.spill import SpillTable
from ufos_nautilus.engine.turns import InTurn
from ufos_nautilus.limits import SAMPLE_ROWS_MAX
from ufos_nautilus.run_schemas import SCHEMAS

TERMINAL = (OrderCanceled, OrderDenied, OrderExpired, OrderRejected)
PURGE_INTERVAL_NS = 60_000_000_000
"""Closed orders leave the engine's cache at the first sample after this long; they are written down before."""
PURGE_LATEST_NS = 3_600_000_000_000
"""Where samples are rarer than this, closed orders leave on a timer of their own."""
PURGE_ORDERS_MIN = 100
"""Fewer ended orders than this are left where they are."""
PURGE_BUFFER_S = 120
"""Closed orders younger than this stay: an event on its way to a purged order would stop the engine."""
NOTED_MAX = 500
"""Events kept before their rows are made; a sample makes them earlier."""
NOTHING = (None, None)
ZERO = Decimal(0)
SIDES = {OrderSide.BUY: "BUY", OrderSide.SELL: "SELL"}


class Recorder(InTurn, Guarded, DataActor):
    """Listens to all books and writes the tables of a run.

    Parameters
    ----------
    directory : Path
        Where the tables go.
    sample_interval_ns : int
        Engine time between samples.
    venues : sequence of str
        Venues whose accounts are sampled.
    portfolio : Portfolio
        The engine's (actors have none of their own).
    keep_quotes : bool
        Whether quote decisions are kept.
    margined : collection of str
        Venues with a margin account, whose equity is balance and unrealized result.

    """

    def __new__(cls, *_: Any, **__: Any) -> Self:
        """Name the actor for the engine."""
        return super().__new__(cls, DataActorConfig(actor_id=ActorId("RECORDER-1")))  # pyright: ignore[reportCallIssue] (stub)

    def __init__(
        self,
        directory: Path,
        sample_interval_ns: int,
        venues: list[str],
        portfolio: Any,
        *,
        keep_quotes: bool,
        margined: Collection[str] = (),
    ) -> None:
        self.tables = {name: SpillTable(name, directory, SAMPLE_ROWS_MAX) for name in SCHEMAS}
        self.quote_log = self.tables["quotes"].append if keep_quotes else None
        self.counts = {"orders": 0, "fills": 0, "denied": 0, "rejected": 0}
        self.inventory: dict[tuple[str, str], Decimal] = {}
        self.lit: dict[str, Any] = {}
        """Instrument id on the internal venue -> the lit instrument whose market it has."""
        self.max_inventory: dict[str, Decimal] = {}
        """Lit instrument id -> largest absolute position of any book, over all venues."""
        self._net: dict[tuple[str, str], Decimal] = {}
        self._noted: list[tuple[Any, tuple[Any, Any], bool]] = []
        """Events whose rows are not made yet: the event, best bid and ask then, whether it closed its order."""
        self._ended = 0
        """Orders written since the engine was last told to forget those that ended."""
        self._portfolio = portfolio
        self._interval_ns = sample_interval_ns
        self._margined = frozenset(margined)
        self._venues = [(name, Venue(name)) for name in venues]
        self._instruments: dict[str, Any] = {}
        self._fill_hash = hashlib.sha256()
        self._order_hash = hashlib.sha256()

    def on_start(self) -> None:
        """Listen to books, start sampling and purging."""
        self._cached = self.cache  # each look at the property makes another wrapper
        self.overhear("books.*.fills", self.record_fill_event)
        self.overhear("books.*.orders", self.record_order_event)
        self.overhear("books.*.positions", self.record_position_event)
        self.overhear("books.*.denials", self.record_denial)
        self.overhear("alerts.*", self.tables["alerts"].append)
        self.clock.set_timer_ns("sample", self._interval_ns, callback=self.guard(self._on_sample))
        # A timer costs about a microsecond each time, on minute bars as much as the bar: purging goes with sampling.
        self._purged_ns = self.clock.timestamp_ns()
        if self._interval_ns > PURGE_LATEST_NS:
            self.clock.set_timer_ns("purge", PURGE_LATEST_NS, callback=self.guard(self._on_purge))

    def record_fill_event(self, event: OrderFilled) -> None:
        """Note a fill, with the market at that moment."""
        priced = event.instrument_id
        if self.lit:
            priced = self.lit.get(str(priced), priced)
        self._note(event, self._top(priced), self._cached.is_order_closed(event.client_order_id))

    def record_order_event(self, event: Any) -> None:
        """Note an order that ended without being filled."""
        if isinstance(event, TERMINAL):
            self._note(event, NOTHING, True)

    def _note(self, event: Any, top: tuple[Any, Any], closed: bool) -> None:
        """Keep an event for later: rows made one by one, between events of the engine, take five times as long."""
        self._noted.append((event, top, closed))
        if len(self._noted) >= NOTED_MAX:
            self._write_noted()

    def _write_noted(self) -> None:
        for event, top, closed in self._noted:
            if type(event) is OrderFilled:
                self._record_fill(event, *top)
            elif type(event) is PositionClosed:
                self._record_position(event, event.entry, event.peak_qty, event.realized_pnl, event.ts_closed)
            elif isinstance(event, OrderDenied):  # by the engine's own checks, after the gate
                self.counts["denied"] += 1
                row = (event.ts_event, str(event.strategy_id), str(event.client_order_id), str(event.instrument_id))
                self.tables["denials"].append((*row, "engine", event.reason))
            elif isinstance(event, OrderRejected):
                self.counts["rejected"] += 1
            # Reading an order copies it with all its events.
            order = self._cached.order(event.client_order_id) if closed else None  # pyright: ignore
            if order is not None:
                self._record_order(order)
                self._ended += 1
        self._noted.clear()

    def record_position_event(self, event: Any) -> None:
        """Note a position when it closes."""
        if isinstance(event, PositionClosed):
            self._note(event, NOTHING, False)

    def record_denial(self, denial: GateDenial) -> None:
        """Write an order that the gate refused."""
        self.counts["denied"] += 1
        row = (denial.ts_ns, denial.book_id, denial.client_order_id, denial.instrument_id)
        self.tables["denials"].append((*row, denial.action, denial.reason))

    def finish(self) -> dict[str, str]:
        """Write what is still open, close all tables and return the digests of orders and fills."""
        self._on_sample(None)
        for order in sorted(self._cached.orders(), key=lambda o: (o.ts_init, str(o.client_order_id))):
            if not order.is_closed:
                self._record_order(order)
        for position in sorted(self._cached.positions_open(), key=lambda p: (str(p.strategy_id), str(p.instrument_id))):
            self._record_position(position, position.entry, position.quantity, position.realized_pnl, None)
        for table in self.tables.values():
            table.close()
        return {"orders": self._order_hash.hexdigest(), "fills": self._fill_hash.hexdigest()}

    # details

    def market(self, instrument_id: Any) -> tuple[str | None, str | None]:
        """Return best bid and ask as text, from quotes or else from the book."""
        bid, ask = self._top(instrument_id)
        return (None, None) if bid is None else (str(bid), str(ask))

    def _top(self, instrument_id: Any) -> tuple[Any, Any]:
        quote = self._cached.quote(instrument_id)
        if quote is not None:
            return quote.bid_price, quote.ask_price
        top = self._cached.top_of_book(instrument_id) if self._cached.has_order_book(instrument_id) else None
        return (top[0], top[2]) if top else NOTHING

    def _record_fill(self, event: OrderFilled, bid: Any, ask: Any) -> None:
        book, instrument = str(event.strategy_id), str(event.instrument_id)
        priced = self.lit.get(instrument, event.instrument_id)
        self._instruments.setdefault(instrument, priced)
        side, quantity = SIDES[event.order_side], str(event.last_qty)
        amount = Decimal(quantity)
        signed = amount if side == "BUY" else -amount
        self.inventory[book, instrument] = self.inventory.get((book, instrument), ZERO) + signed
        name = str(priced)
        self._net[book, name] = held = self._net.get((book, name), ZERO) + signed
        self.max_inventory[name] = max(self.max_inventory.get(name, ZERO), abs(held))
        commission = event.commission
        row = (
            event.ts_event,
            str(event.trade_id),
            str(event.client_order_id),
            str(event.venue_order_id),
            book,
            instrument,
            side,
            str(event.last_px),
            quantity,
            "MAKER" if event.liquidity_side == LiquiditySide.MAKER else "TAKER",
            str(commission.as_decimal()) if commission is not None else "0",
            str(commission.currency) if commission is not None else str(event.currency),
        )
        self.tables["fills"].append((*row, None if bid is None else str(bid), None if ask is None else str(ask)))
        self._fill_hash.update("|".join(map(str, row)).encode())
        self.counts["fills"] += 1

    def _record_order(self, order: Any) -> None:
        price = getattr(order, "price", None)  # market orders have none
        row = (
            order.ts_init,
            str(order.client_order_id),
            str(order.strategy_id),
            str(order.instrument_id),
            SIDES[order.side],
            order.order_type.name,
            str(order.quantity),
            None if price is None else str(price),
            order.status.name,
            str(order.filled_qty),
            str(order.avg_px) if order.avg_px is not None else None,
            order.ts_last,
            ",".join(order.tags or ()),
        )
        self.tables["orders"].append(row)
        self._order_hash.update("|".join(map(str, row)).encode())
        self.counts["orders"] += 1

    def _record_position(self, position: Any, entry: Any, quantity: Any, pnl: Any, ts_closed: int | None) -> None:
        self.tables["positions"].append(
            (
                str(position.strategy_id),
                str(position.instrument_id),
                "LONG" if entry == OrderSide.BUY else "SHORT",
                str(quantity),
                f"{position.avg_px_open:.12f}",
                f"{position.avg_px_close:.12f}" if position.avg_px_close is not None else None,
                str(pnl.as_decimal()) if pnl is not None else "0",
                str(pnl.currency) if pnl is not None else "",
                position.ts_opened,
                ts_closed,
            )
        )

    def _on_sample(self, event: Any) -> None:
        now = self.clock.timestamp_ns() if event is None else event.ts_event
        self._write_noted()
        # The engine copies an account with its whole history at every read and every fill.
        self._cached.purge_account_events(now, 0)
        for name, venue in self._venues:
            self._sample_account(now, name, venue)
        for (book, instrument), held in self.inventory.items():
            bid, ask = self.market(self._instruments[instrument])
            self.tables["inventory"].append((now, book, instrument, str(held), bid, ask))
        if now - self._purged_ns >= PURGE_INTERVAL_NS:
            self._on_purge(None)

    def _sample_account(self, now: int, name: str, venue: Venue) -> None:
        account = self._cached.account_for_venue(venue)
        if account is None:
            return
        unrealized, totals = _amounts(self._portfolio.unrealized_pnls(venue)), _amounts(account.balances_total())
        if name in self._margined:  # the engine's own figure, without another pass over all positions
            equity = {c: str(Decimal(t) + Decimal(unrealized[c])) if c in unrealized else t for c, t in totals.items()}
        else:
            equity = _amounts(self._portfolio.equity(venue))
        for code, total in sorted(totals.items()):
            self.tables["equity"].append((now, name, code, equity.get(code, total), total, unrealized.get(code, "0")))

    def _on_purge(self, _: Any) -> None:
        self._purged_ns = self.clock.timestamp_ns()
        self._cached.purge_account_events(self._purged_ns, 0)
        if self._ended + len(self._noted) >= PURGE_ORDERS_MIN:
            self._write_noted()
            self._cached.purge_closed_orders(self._purged_ns, PURGE_BUFFER_S)
            self._ended = 0


def _amounts(values: dict[Any, Any]) -> dict[str, str]:
    """Return amounts as text by currency; the engine's own text is three times faster than its decimals."""
    out = {}
    for money in values.values():
        amount, _, code = str(money).partition(" ")
        out[code] = amount
    return out
