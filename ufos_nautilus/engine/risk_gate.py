"""The gate of a run with limits: translates orders for the check, and counts every order it lets pass."""

from collections.abc import Callable
from typing import Any, NamedTuple

from nautilus_trader.model import InstrumentId, LimitOrder, MarketOrder, OrderSide, OrderType

from ufos_nautilus.engine.dark import DARK_VENUE
from ufos_nautilus.engine.gate import GateRequest, TradingHaltedError
from ufos_nautilus.engine.risk_audit import RiskAudit
from ufos_nautilus.engine.risk_orders import Followed, OrderKeeper
from ufos_nautilus.engine.risk_price import newest_price
from ufos_nautilus.limits import RISK_AUDIT_BATCH_MAX, RISK_ORDERS_OPEN_MAX
from ufos_nautilus.risk.checks import OrderView, Violation, check, check_slot, count
from ufos_nautilus.risk.compiled import Limits, SlotRules
from ufos_nautilus.risk.fixed import text
from ufos_nautilus.risk.halt_flag import HaltFlag
from ufos_nautilus.risk.quick import Bounds
from ufos_nautilus.risk.rules import SwitchLimits
from ufos_nautilus.risk.state import Firm, Slot, mark
from ufos_nautilus.risk.windows import RateWindow, ShareWindow

BUY, MARKET = OrderSide.BUY, OrderType.MARKET
PRICED = frozenset((OrderType.LIMIT, OrderType.STOP_LIMIT, OrderType.LIMIT_IF_TOUCHED, OrderType.TRAILING_STOP_LIMIT))
TRIGGERED = frozenset(
    (OrderType.STOP_MARKET, OrderType.STOP_LIMIT, OrderType.MARKET_IF_TOUCHED, OrderType.LIMIT_IF_TOUCHED)
)


class Place(NamedTuple):
    """Where the orders of one book in one instrument count."""

    slot: Slot
    rules: SlotRules
    priced_by: InstrumentId
    """The lit instrument whose market gives the price."""
    venue: str
    """Where orders go, if not to the lit venue."""
    name: str
    bounds: Bounds | None
    """The limits folded, for orders that are far from all of them; None on the internal venue."""
    goes_to: InstrumentId
    """What orders name."""


class RiskGate(OrderKeeper):
    """Reviews orders of every book against the limits in force.

    Parameters
    ----------
    firm : Firm
        Books and instruments of the run.
    limits : Limits
        In force until `use` replaces them.
    flag : HaltFlag
        Raised by whoever stops trading; read on every order.
    audit : RiskAudit
        Where every decision goes.
    algorithms : frozenset of str
        Execution algorithms of the run; orders for any other are denied.

    """

    def __init__(
        self, firm: Firm, limits: Limits, flag: HaltFlag, audit: RiskAudit, algorithms: frozenset[str] = frozenset()
    ) -> None:
        super().__init__(firm, limits)
        self.flag, self.audit, self.algorithms = flag, audit, algorithms
        self.on_rejected = self._count_refusal
        self.pressed = False
        """A halt waits for the book that is running; its next denial ends it."""
        self._cell = flag.cell
        self._cache: Any = None
        self._now: Callable[[], int] = lambda: 0
        self._places: dict[str, dict[Any, Place]] = {}
        self._bounds: dict[tuple[str, str, SlotRules], Bounds] = {}
        self._requests: dict[str, RateWindow] = {}
        self._refusals: dict[str, ShareWindow] = {}
        self._notes = audit.notes
        self._use_switch(limits.rules.switch)
        firm.stale = "the gate has not met the engine yet"

    def attach(self, cache: Any, now: Callable[[], int]) -> None:
        """Take the engine's cache and clock; before that every order is denied."""
        self._cache, self._now = cache, now
        self.firm.stale = ""

    def use(self, limits: Limits) -> None:
        """Judge by other limits from the next order on."""
        self.limits = limits
        self._use_switch(limits.rules.switch)
        self._places.clear()
        self._bounds.clear()

    def _use_switch(self, switch: SwitchLimits) -> None:
        self._breaker = switch.max_orders_per_s
        self._refusals_limit = None if switch.max_rejects_pct is None else int(switch.max_rejects_pct * 10_000)
        self._refusals_over = switch.rejects_over

    # what a book calls

    def review(self, request: GateRequest) -> str | None:
        """Return why a request is denied, or None where it may pass; what passes counts as open from now on."""
        book, action, order, _, _, _, now = request
        now = now or self._now()
        firm = self.firm
        if self._breaker is not None:
            self._count_request(book, now, self._breaker)
        if self._cell[0] != firm.state:
            firm.state = self._cell[0]
        mine = self._places.get(book)
        place = None if mine is None else mine.get(order.instrument_id)
        if place is None:
            place = self._find(request)
        if place is None:
            view = self._view(request, now, None)
            return self._deny(request, check(view, firm, self.limits), now)
        quote = None if self._cache is None else self._cache.quote(place.priced_by)
        if quote is None:
            self._mark_without_quote(place)
        else:
            instrument = place.slot.instrument
            price = (quote.bid_price.raw + quote.ask_price.raw) // 2
            if price == instrument.price:
                instrument.price_ns = quote.ts_init
            else:
                mark(instrument, price, quote.ts_init)
        if action == "submit" and place.bounds is not None and self._quick(order, place, place.bounds, now):
            return None
        view = self._view(request, now, place)
        violations = check_slot(view, place.slot, place.rules)
        if action == "slice":
            violations = self._judge_slice(request, view, violations)
        if violations:
            return self._deny(request, violations, now)
        self._pass(request, view, place)
        return None

    def _quick(self, order: Any, place: Place, bounds: Bounds, now: int) -> bool:
        """Let a plain order pass that is far from every limit; the result is what the whole check would have done."""
        kind = type(order)
        if kind is LimitOrder:
            price = order.price.raw
        elif kind is MarketOrder:
            price = None
        else:
            return False
        if order.is_reduce_only or order.is_quote_quantity or order.exec_algorithm_id is not None:
            return False
        orders, slot, key = self.orders, place.slot, order.client_order_id
        if key in orders or key in self._ended or len(orders) >= RISK_ORDERS_OPEN_MAX:
            return False
        sign, quantity = (1 if order.is_buy else -1), order.quantity.raw
        value = bounds.allows(slot, sign, quantity, price, now)
        if not value:
            return False
        if bounds.counted:
            bounds.count(now)
        followed = orders[key] = Followed(key, slot, place.goes_to, sign, quantity)
        followed.counted = quantity
        slot.open(sign, quantity, value)
        if self._refusals_limit is not None:
            self._note(slot.book.id, refused=False)
        notes = self._notes
        notes.append((now, slot.book.id, key, place.name, "submit", quantity * sign, price))
        if len(notes) >= RISK_AUDIT_BATCH_MAX:
            self.audit.flush()
        return True

    def commit(self, order: Any) -> None:
        """Count a leg that was reviewed and is now sent."""
        place = self._places.get(str(order.strategy_id), {}).get(order.instrument_id)
        if place is not None:
            self.follow(order, place.slot, 1 if order.side == BUY else -1)

    def release(self, request: GateRequest) -> None:
        """Forget a request that was let pass and is not sent after all."""
        if request.action == "submit":
            self.forget(request.order.client_order_id)
        elif request.action == "modify":
            self.unask(request.order.client_order_id)

    def broken_orders(self) -> list[tuple[str, Any, str]]:
        """Return (book, client order id, reason) of open orders that the universe or a restriction no longer allows."""
        out: list[tuple[str, Any, str]] = []
        for followed in {id(f): f for f in self.orders.values()}.values():
            slot = followed.slot
            rules = self.limits.slot(slot.book.id, slot.book.kind, slot.instrument.id)
            view = OrderView(slot.book.id, slot.instrument.id, followed.sign, followed.counted, None, 0)
            reduces = followed.exits or slot.only_reduces(view.sign, view.quantity, view.quantity, flagged=False)
            rule = rules.restriction
            if rule is not None and not (reduces and rule.allows == "reducing"):
                out.append((slot.book.id, followed.key, f"restriction {rule.id} of version {rules.version}"))
            elif not rules.in_universe and not reduces:
                out.append((slot.book.id, followed.key, "its instrument left the approved list"))
        return out

    # what passes and what does not

    def _pass(self, request: GateRequest, view: OrderView, place: Place) -> None:
        order, slot = request.order, place.slot
        units = view.sign * view.quantity
        self.audit.passed(view.ts_ns, view.book, order.client_order_id, place.name, request.action, units, view.price)
        if self._refusals_limit is not None:
            self._note(view.book, refused=False)
        if request.action == "slice":
            return
        count(view, slot, place.rules)
        if request.action == "submit":
            self.follow(order, slot, view.sign)
        elif request.action == "modify":
            kept = request.quantity is None
            self.ask(order, slot, view.sign, None if kept else view.quantity + order.filled_qty.raw)

    def _deny(self, request: GateRequest, violations: tuple[Violation, ...], now: int) -> str:
        if self.pressed:
            raise TradingHaltedError(f"book {request.book_id} goes on sending orders while all must be cancelled")
        order = request.order
        self.audit.denied(
            now, request.book_id, str(order.client_order_id), str(order.instrument_id), request.action, violations
        )
        self._count_refusal(request.book_id)
        return "; ".join(map(str, violations))

    def _judge_slice(
        self, request: GateRequest, view: OrderView, violations: tuple[Violation, ...]
    ) -> tuple[Violation, ...]:
        """Drop what the whole order was judged by already; a slice never trades more than is left of the order."""
        kept = [v for v in violations if v.code not in ("ORDER_RATE", "UNSUPPORTED")]
        followed = self.orders.get(request.order.client_order_id)
        room = followed.room if followed is not None else 0
        if view.quantity > room:
            kept.append(Violation("SLICE", view.book, view.instrument, text(room), text(view.quantity)))
        return tuple(kept)

    # translation

    def _find(self, request: GateRequest) -> Place | None:
        name = str(request.order.instrument_id)
        slot = self.firm.slot(request.book_id, name)
        if slot is None:
            return None
        lit = slot.instrument.id
        rules = self.limits.slot(request.book_id, slot.book.kind, lit)
        venue = DARK_VENUE if name != lit and name.endswith(f".{DARK_VENUE}") else ""
        key = (request.book_id, slot.instrument.venue, rules)
        bounds = None if venue else self._bounds.setdefault(key, Bounds(slot, rules))
        goes_to = request.order.instrument_id
        place = Place(slot, rules, InstrumentId.from_str(lit), venue, name, bounds, goes_to)
        self._places.setdefault(request.book_id, {})[goes_to] = place
        return place

    def _view(self, request: GateRequest, now: int, place: Place | None) -> OrderView:
        order, action = request.order, request.action
        quantity, replaced = order.quantity.raw, 0
        if action == "modify":
            followed = self.orders.get(order.client_order_id)
            if followed is not None and not followed.exits:
                replaced = followed.counted
            quantity = (quantity if request.quantity is None else request.quantity.raw) - order.filled_qty.raw
        elif action == "slice":
            quantity = replaced = request.quantity.raw
        kind = order.order_type
        return OrderView(
            request.book_id,
            str(order.instrument_id) if place is None else place.name,
            1 if order.side == BUY else -1,
            quantity if quantity > 0 else 0,
            None if kind == MARKET else self._worst_price(request, kind, place),
            now,
            order.is_reduce_only,
            replaced,
            action == "modify",
            action == "leg",
            "" if place is None else place.venue,
            self._problem(order, action, request),
        )

    def _worst_price(self, request: GateRequest, kind: Any, place: Place | None) -> int | None:
        """Return the limit or trigger price that lies further from the last."""
        order, prices = request.order, []
        if kind in PRICED:
            prices.append(request.price if request.price is not None else order.price)
        if kind in TRIGGERED:
            prices.append(request.trigger_price if request.trigger_price is not None else order.trigger_price)
        raw = [p.raw for p in prices if p is not None]
        if len(raw) < 2:
            return raw[0] if raw else None
        last = place.slot.instrument.price if place is not None else None
        return max(raw, key=lambda p: abs(p - (last or 0)))

    def _problem(self, order: Any, action: str, request: GateRequest) -> str:
        if order.is_quote_quantity:
            return "its quantity is in the quote currency"
        algorithm = order.exec_algorithm_id
        if algorithm is not None and str(algorithm) not in self.algorithms:
            return f"no algorithm {algorithm} in this run"
        if action == "submit" and (
            order.client_order_id in self.orders or self._cache.order_exists(order.client_order_id)
        ):
            return f"its id {order.client_order_id} was used before"
        if action == "modify" and algorithm is not None and request.quantity is not None:
            return "an order being worked keeps its quantity"
        return "too many open orders" if len(self.orders) >= RISK_ORDERS_OPEN_MAX else ""

    def _used(self, client_order_id: Any) -> bool:
        known = client_order_id in self.orders
        return known or (self._cache is not None and self._cache.order_exists(client_order_id))

    def _mark_without_quote(self, place: Place) -> None:
        found = newest_price(self._cache, place.priced_by) if self._cache is not None else None
        if found is not None:
            mark(place.slot.instrument, *found)

    # breakers

    def _count_request(self, book: str, now: int, size: int) -> None:
        window = self._requests[book] = RateWindow.of(self._requests.get(book), size)
        if window.full(now):
            self.alarm("order_rate", f"book {book} sent more than {size} requests in a second")
        window.add(now)

    def _count_refusal(self, book: str) -> None:
        if self._refusals_limit is not None:
            self._note(book, refused=True)

    def _note(self, book: str, *, refused: bool) -> None:
        window = self._refusals.get(book)
        if window is None or window.size != self._refusals_over:
            window = self._refusals[book] = ShareWindow(self._refusals_over)
        window.add(refused)
        if refused and self._refusals_limit is not None and window.ppm > self._refusals_limit:
            share = f"{window.ppm / 10_000:g} % of the last {window.size} orders of book {book} were refused"
            self.alarm("reject_rate", share)

    def _is_closed(self, client_order_id: Any) -> bool:
        order = self._cache.order(client_order_id)
        return order is None or order.is_closed
