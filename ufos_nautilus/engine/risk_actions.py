"""Carries out what a broken limit asks for: warn, reduce, hedge, stop a book, halt the firm."""

from decimal import ROUND_DOWN, Decimal
from typing import Any

from nautilus_trader.model import InstrumentId, OrderSide, OrderStatus, Quantity

from ufos_nautilus.engine.book import Book
from ufos_nautilus.engine.risk_gate import RiskGate
from ufos_nautilus.engine.risk_price import newest_price
from ufos_nautilus.risk.actions import Action, hedge_units, reductions
from ufos_nautilus.risk.fixed import SCALE, from_fixed
from ufos_nautilus.risk.levels import ACTIVE, REDUCING
from ufos_nautilus.risk.state import Slot, mark


class BookHands:
    """Does for the watchdog what only books can do: cancel and send orders.

    Parameters
    ----------
    gate : RiskGate
        Knows what is open.
    books : dict
        Books by id.

    """

    def __init__(self, gate: RiskGate, books: dict[str, Book]) -> None:
        self.gate, self.books = gate, books

    def open_places(self, cache: Any, book: str = "") -> list[tuple[str, InstrumentId]]:
        """Return (book, instrument) of everything that is open or on its way, of one book or of all."""
        places = {(f.slot.book.id, f.instrument_id) for f in self.gate.orders.values()}
        # The gate follows every order of a book; going through all orders takes long, so it is for those it never met.
        met = len(self.gate.orders)
        if met >= cache.orders_open_count() + cache.orders_inflight_count() + cache.orders_emulated_count() > 0:
            return self._in_order(places, book)
        for order in (*cache.orders_open(), *cache.orders_inflight(), *cache.orders_emulated()):
            places.add((str(order.strategy_id), order.instrument_id))
        return self._in_order(places, book)

    def _in_order(self, places: set[tuple[str, InstrumentId]], book: str) -> list[tuple[str, InstrumentId]]:
        return sorted(((b, i) for b, i in places if book in ("", b)), key=lambda p: (p[0], str(p[1])))

    def unasked(self, cache: Any) -> bool:
        """Tell whether something is open that nobody has asked to cancel."""
        return any(
            order.status != OrderStatus.PENDING_CANCEL for order in (*cache.orders_open(), *cache.orders_emulated())
        )

    def cancel(self, cache: Any, book: str = "") -> int:
        """Cancel everything of one book or of all, orders of unknown owners too; return how many commands that took."""
        commands, strangers = 0, set[InstrumentId]()
        for owner, instrument_id in self.open_places(cache, book):
            commands += 1
            if owner in self.books:
                self.books[owner].cancel_all_orders(instrument_id)
            else:
                strangers.add(instrument_id)
        if strangers and self.books:
            hand = next(iter(self.books.values()))
            for instrument_id in sorted(strangers, key=str):
                hand.cancel_all_orders(instrument_id, strategy_only=False)
        return commands

    def cancel_orders(self, orders: list[tuple[str, Any]]) -> None:
        """Cancel single orders, given as (book, client order id)."""
        for owner, client_order_id in orders:
            self.books[owner].cancel_order(client_order_id)

    def idle(self, book: str) -> bool:
        """Tell whether a book has nothing open."""
        return all(f.slot.book.id != book for f in self.gate.orders.values())

    def slots(self, book: str) -> list[Slot]:
        """Return what a book holds."""
        return [s for s in self.gate.firm.held() if s.book.id == book and s.position]

    def reduce(self, cache: Any, book: str, keep_pct: Decimal) -> int:
        """Cut every position of a book to a share of what it is; return how many orders were sent."""
        sent = 0
        for slot, units in reductions(self.slots(book), keep_pct):
            sent += self._send(cache, book, slot.instrument.id, units)
        return sent

    def hedge(self, cache: Any, action: Action) -> int:
        """Trade the hedge against a book's net position; return how many orders were sent."""
        hedge = self.gate.firm.instruments.get(action.rule.hedge_with)
        if hedge is None:
            return 0
        found = newest_price(cache, InstrumentId.from_str(hedge.id))
        if found is not None:
            mark(hedge, *found)
        if not hedge.price:
            return 0
        net = sum(s.net for s in self.slots(action.book))
        units = hedge_units(net, action.rule.hedge_ratio, hedge.value(SCALE, hedge.price))
        return self._send(cache, action.book, hedge.id, units)

    def stop(self, cache: Any, book: str) -> int:
        """Let a book do nothing but reduce, and cancel its orders; return how many commands that took."""
        state = self.gate.firm.books[book]
        if state.state == ACTIVE:
            state.state = REDUCING
        return self.cancel(cache, book)

    def _send(self, cache: Any, book: str, name: str, units: int) -> int:
        """Send a market order on the lit venue, where what is held on the internal one is closed too.

        It is not flagged reduce-only, for which the engine would want the position on that very venue; the gate sees
        from its own numbers that it only reduces.
        """
        instrument_id = InstrumentId.from_str(name)
        instrument = cache.instrument(instrument_id)
        if instrument is None or not units:
            return 0
        lot = instrument.size_increment.as_decimal()
        amount = (abs(from_fixed(units)) / lot).to_integral_value(ROUND_DOWN) * lot
        if not amount:
            return 0
        owner = self.books[book]
        side = OrderSide.BUY if units > 0 else OrderSide.SELL
        quantity = Quantity.from_str(f"{amount:.{instrument.size_precision}f}")
        owner.submit_order(owner.order_factory.market(instrument_id, side, quantity))
        return 1
