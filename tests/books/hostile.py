"""Books that try everything to get past their limits, and a witness who keeps accounts of their own."""

import contextlib
from collections import Counter, deque
from decimal import Decimal
from random import Random
from typing import Any, ClassVar

from nautilus_trader.model import (
    ExecAlgorithmId,
    InstrumentId,
    OrderCanceled,
    OrderDenied,
    OrderExpired,
    OrderFilled,
    OrderInitialized,
    OrderModifyRejected,
    OrderRejected,
    OrderSide,
    OrderSubmitted,
    OrderUpdated,
    Price,
    Quantity,
    TimeInForce,
)
from pydantic import Field

from ufos_nautilus.engine import Book, BookConfig, GateDenial

ENDED = (OrderCanceled, OrderDenied, OrderExpired, OrderRejected)
MAY_STOP_AN_EXIT = {"FAT_FINGER", "ORDER_QUANTITY", "ORDER_RATE", "UNSUPPORTED"}
"""What may deny an order that only reduces: its price, size, rate, or an id that was used before."""
SIDES = (OrderSide.BUY, OrderSide.SELL)


class Witness:
    """Counts positions and open orders from events alone, and judges every order that is sent to the venue.

    Parameters
    ----------
    position, net_position : Decimal
        Units a book may hold of one instrument, and all books together.
    quantity : Decimal
        Units of one order.
    notional : Decimal
        Gross position of one book.
    away : Decimal
        Largest distance of a price from the middle, as a share.
    orders_per_s : int
        Orders of one book in any second.

    """

    TOLERANCE: ClassVar[Decimal] = Decimal("1.0025")
    """Positions are valued at a price that may be a thousandth old."""

    def __init__(
        self, position: str, net_position: str, quantity: str, notional: str, away: str, orders_per_s: int
    ) -> None:
        self.position, self.net_position, self.quantity = Decimal(position), Decimal(net_position), Decimal(quantity)
        self.notional, self.away, self.orders_per_s = Decimal(notional), Decimal(away), orders_per_s
        self.held: Counter[tuple[str, str]] = Counter()
        self.open: dict[str, dict[str, Any]] = {}
        self.asked: Counter[str] = Counter()
        self.sent: Counter[str] = Counter()
        self.codes: Counter[str] = Counter()
        self.problems: list[str] = []
        self._times: dict[str, deque[int]] = {}

    # what books hold

    def units(self, book: str, instrument: str, sign: int) -> Decimal:
        """What a position could become on one side: exits may first bring it to zero, then every open order fills."""
        mine = [o for o in self.open.values() if (o["book"], o["instrument"], o["sign"]) == (book, instrument, sign)]
        held = Decimal(self.held[book, instrument])
        if any(o["exit"] for o in mine):
            held = sign * max(sign * held, Decimal(0))
        return held + sign * sum(size_of(o) for o in mine if not o["exit"])

    def reduces(self, book: str, instrument: str, sign: int, quantity: Decimal, without: str = "") -> bool:
        """Tell whether an order could only bring the position nearer to zero, whatever else of its side fills."""
        held = -sign * Decimal(self.held[book, instrument])
        same = sum(
            size_of(o)
            for key, o in self.open.items()
            if (o["book"], o["instrument"], o["sign"]) == (book, instrument, sign) and key != without
        )
        return quantity + same <= held

    # events

    def on_event(self, book: Any, event: Any) -> None:
        """Follow an order of a book."""
        key = str(event.client_order_id)
        if isinstance(event, OrderInitialized):
            self._begin(key, event)
            self._judge(book, key, event, adds=True)
        elif isinstance(event, OrderSubmitted):
            self.sent[str(event.strategy_id)] += 1
        elif isinstance(event, OrderFilled):
            self._fill(key, event)
        elif isinstance(event, OrderUpdated):
            known = self.open.get(key)
            if known is not None:
                known["left"] += event.quantity.as_decimal() - known["total"]
                known["total"] = event.quantity.as_decimal()
                known["asked"] = known["asked"][1:]
        elif isinstance(event, OrderModifyRejected):
            if key in self.open:
                self.open[key]["asked"] = self.open[key]["asked"][1:]
        elif isinstance(event, ENDED):
            self.open.pop(key, None)

    def _begin(self, key: str, event: Any) -> None:
        total = event.quantity.as_decimal()
        price = event.price if event.price is not None else event.trigger_price
        self.open[key] = {
            "book": str(event.strategy_id),
            "instrument": str(event.instrument_id),
            "sign": 1 if event.order_side == OrderSide.BUY else -1,
            "left": total,
            "total": total,
            "asked": [],
            "exit": event.reduce_only,
            "slice": event.exec_spawn_id not in (None, event.client_order_id),
            "price": None if price is None else price.as_decimal(),
        }

    def _fill(self, key: str, event: Any) -> None:
        units = event.last_qty.as_decimal()
        place = (str(event.strategy_id), str(event.instrument_id))
        self.held[place] += units if event.order_side == OrderSide.BUY else -units  # type: ignore[assignment]
        known = self.open.get(key)
        if known is not None:
            known["left"] -= units
            if known["left"] <= 0:
                del self.open[key]
        if abs(Decimal(self.held[place])) > self.position:
            self.problems.append(f"{place} holds {self.held[place]}")

    def _judge(self, book: Any, key: str, event: Any, *, adds: bool) -> None:
        order = self.open.get(key)
        if order is None:
            return
        name, instrument, sign = order["book"], order["instrument"], order["sign"]
        middle = book.middle(InstrumentId.from_str(instrument))
        # The venue itself makes an exit as large as the position it closes.
        size = size_of(order)
        if size > self.quantity and not order["slice"] and not order["exit"]:
            self.problems.append(f"{key}: {size} units")
        away = abs(order["price"] - middle) if order["price"] is not None else Decimal(0)
        if away > middle * self.away:
            self.problems.append(f"{key}: price {order['price']} at {middle}")
        if event is not None and not order["slice"]:
            self._count(key, name, book.now_ns)
        if not adds or order["slice"] or order["exit"] or self.reduces(name, instrument, sign, size, key):
            return
        units = sign * self.units(name, instrument, sign)
        if units > self.position:
            self.problems.append(f"{key}: book would hold {units}")
        net = sign * sum((self.units(b, instrument, sign) for b in book.all_books), Decimal(0))
        if net > self.net_position:
            self.problems.append(f"{key}: firm would hold {net} of {instrument}")
        gross = sum(
            max(abs(self.units(name, i, s)) for s in (1, -1)) * book.middle(InstrumentId.from_str(i))
            for i in book.params.instrument_ids
        )
        if gross > self.notional * self.TOLERANCE:
            self.problems.append(f"{key}: book {name} would hold {gross} in all")

    def changed(self, book: Any, wish: tuple[Any, Any, Any, Any]) -> None:
        """Judge a modification that was let pass, as if the venue made it at once."""
        order = self.open.get(str(wish[0]))
        if order is None:
            return
        filled, before = order["total"] - order["left"], size_of(order)
        order["asked"].append((wish[1].as_decimal() if wish[1] is not None else order["total"]) - filled)
        if wish[2] is not None:
            order["price"] = wish[2].as_decimal()
        self._judge(book, str(wish[0]), None, adds=size_of(order) > before)

    def _count(self, key: str, name: str, now_ns: int) -> None:
        times = self._times.setdefault(name, deque())
        times.append(now_ns)
        while times and now_ns - times[0] >= 1_000_000_000:
            times.popleft()
        if len(times) > self.orders_per_s:
            self.problems.append(f"{key}: order {len(times)} of {name} within a second")


def size_of(order: dict[str, Any]) -> Decimal:
    """What an order could still trade, whatever becomes of modifications on their way."""
    return max([order["left"], *order["asked"]])


class HostileConfig(BookConfig):
    """How wild."""

    instrument_ids: list[str] = Field(default_factory=list)
    books: list[str] = Field(default_factory=list)
    actions_per_quote: int = 5
    actions_max: int = 1_000_000


class Hostile(Book[HostileConfig]):
    """Sends random orders, lists, brackets, modifications and worked orders, most of them outrageous."""

    Config: ClassVar[type[BookConfig]] = HostileConfig
    witness: ClassVar[Witness]

    def __init__(self, config: HostileConfig) -> None:
        super().__init__(config)
        self.rng = Random(config.seed)
        self.actions = 0
        self.kept: list[Any] = []
        self.denied: set[str] = set()
        self.middles: dict[str, Decimal] = {}
        self.now_ns = 0

    @property
    def all_books(self) -> list[str]:
        return self.params.books

    def on_start(self) -> None:
        for name in self.params.instrument_ids:
            self.subscribe_quotes(InstrumentId.from_str(name))

    def middle(self, instrument_id: Any) -> Decimal:
        return self.middles[str(instrument_id)]

    def on_quote(self, quote: Any) -> None:
        self.now_ns = self.clock.timestamp_ns()
        self.middles[str(quote.instrument_id)] = (quote.bid_price.as_decimal() + quote.ask_price.as_decimal()) / 2
        if len(self.middles) == len(self.params.instrument_ids):
            for _ in range(min(self.params.actions_per_quote, self.params.actions_max - self.actions)):
                self.act()

    def on_order_event(self, event: Any) -> None:
        self.witness.on_event(self, event)

    def act(self) -> None:
        self.actions += 1
        what = self.rng.choices(
            ["order", "exit", "list", "bracket", "modify", "batch", "cancel", "worked", "again", "close"],
            [40, 14, 8, 5, 14, 5, 8, 3, 2, 1],
        )[0]
        self.witness.asked[what] += 1
        getattr(self, f"do_{what}")()

    # one kind each

    def do_order(self) -> None:
        self.send(self.order())

    def do_exit(self) -> None:
        name = self.rng.choice(self.params.instrument_ids)
        held = Decimal(self.witness.held[self.book_id, name])
        if held:
            wanted = self.rng.choice([abs(held), max(Decimal(1), abs(held) // 2), abs(held) + 1])
            side = OrderSide.SELL if held > 0 else OrderSide.BUY
            flagged, sign = self.rng.random() < 0.5, -1 if held > 0 else 1
            reduces = self.witness.reduces(self.book_id, name, sign, wanted)
            self.denied = set()
            self.send(self.order(name, side, wanted, reduce_only=flagged, kind=self.rng.choice(["market", "limit"])))
            self.witness.asked["exit that reduces"] += reduces
            if reduces and self.denied - MAY_STOP_AN_EXIT:
                self.witness.problems.append(f"{self.book_id}: an exit of {wanted} {name} was denied: {self.denied}")

    def do_list(self) -> None:
        name = self.rng.choice(self.params.instrument_ids)
        self.submit_order_list([self.order(name) for _ in range(self.rng.randrange(2, 5))])

    def do_bracket(self) -> None:
        name = InstrumentId.from_str(self.rng.choice(self.params.instrument_ids))
        middle, size = self.middle(name), Quantity.from_str(str(self.rng.randrange(1, 60)))
        up, down = middle * Decimal("1.03"), middle * Decimal("0.97")
        side = self.rng.choice(SIDES)
        high, low = (up, down) if side == OrderSide.BUY else (down, up)
        self.submit_order_list(
            self.order_factory.bracket(
                name, side, size, tp_price=Price.from_str(f"{high:.2f}"), sl_trigger_price=Price.from_str(f"{low:.2f}")
            )
        )

    def do_modify(self) -> None:
        wish = self.change()
        if wish is not None:
            self.denied = set()
            with contextlib.suppress(RuntimeError):  # the engine refuses a change that changes nothing
                self.modify_order(wish[0], wish[1], wish[2], wish[3])
                self.tell(wish)

    def do_batch(self) -> None:
        wishes = [wish for _ in range(3) if (wish := self.change()) is not None]
        names = {str(self.cache.order(w[0]).instrument_id) for w in wishes}  # type: ignore[union-attr]
        if wishes and len(names) == 1 and len({str(w[0]) for w in wishes}) == len(wishes):
            self.denied = set()
            with contextlib.suppress(RuntimeError):
                self.modify_orders(wishes)
                for wish in wishes:
                    self.tell(wish)

    def do_cancel(self) -> None:
        opened = self.opened()
        if opened and self.rng.random() < 0.7:
            self.cancel_order(self.rng.choice(opened).client_order_id)
        elif opened:
            self.cancel_all_orders(InstrumentId.from_str(self.rng.choice(self.params.instrument_ids)))

    def do_worked(self) -> None:
        name = InstrumentId.from_str(self.rng.choice(self.params.instrument_ids))
        self.send(
            self.order_factory.market(
                name,
                self.rng.choice(SIDES),
                Quantity.from_str(str(self.rng.randrange(2, 120))),
                exec_algorithm_id=ExecAlgorithmId(self.rng.choice(["TWAP", "TWAP", "NONE-SUCH"])),
                exec_algorithm_params={"horizon_secs": "4", "interval_secs": "1"},
            )
        )

    def do_again(self) -> None:
        if self.kept:
            self.send(self.rng.choice(self.kept))

    def do_close(self) -> None:
        self.close_all_positions(InstrumentId.from_str(self.rng.choice(self.params.instrument_ids)))

    # parts

    def order(
        self,
        name: str = "",
        side: Any = None,
        size: Decimal | None = None,
        *,
        reduce_only: bool | None = None,
        kind: str = "",
    ) -> Any:
        rng = self.rng
        name = name or rng.choice(self.params.instrument_ids)
        instrument_id = InstrumentId.from_str(name)
        side = side or rng.choice(SIDES)
        middle = self.middle(instrument_id)
        units = size if size is not None else Decimal(rng.choice([1, 3, 10, 30, rng.randrange(1, 300), 10**6]))
        quantity = Quantity.from_str(f"{units:.0f}")
        away = Decimal(str(rng.choice([0, 0.001, -0.001, 0.01, -0.01, 0.09, -0.09, 0.12, -0.3, 5])))
        price = Price.from_str(f"{max(middle * (1 + away), Decimal('0.01')):.2f}")
        flags = {"reduce_only": rng.random() < 0.1 if reduce_only is None else reduce_only}
        kind = kind or rng.choice(["market", "limit", "limit", "limit", "stop", "quote"])
        make = self.order_factory
        if kind == "market":
            return make.market(instrument_id, side, quantity, time_in_force=TimeInForce.IOC, **flags)
        if kind == "stop":
            worse = max(middle * (1 + abs(away) + Decimal("0.01")), Decimal("0.01"))
            lower = max(middle * (1 - min(abs(away), Decimal("0.5")) - Decimal("0.01")), Decimal("0.01"))
            trigger = worse if side == OrderSide.BUY else lower
            return make.stop_market(instrument_id, side, quantity, Price.from_str(f"{trigger:.2f}"), **flags)
        if kind == "quote":
            return make.limit(instrument_id, side, quantity, price, quote_quantity=True, **flags)
        return make.limit(instrument_id, side, quantity, price, post_only=rng.random() < 0.3, **flags)

    def tell(self, wish: tuple[Any, Any, Any, Any]) -> None:
        if not self.denied:
            self.witness.changed(self, wish)

    def opened(self) -> list[Any]:
        found = self.cache.orders_open(strategy_id=self.strategy_id)
        return sorted(found, key=lambda o: (o.ts_init, str(o.client_order_id)))

    def change(self) -> tuple[Any, Any, Any, Any] | None:
        limits = [o for o in self.opened() if not o.is_pending_cancel and getattr(o, "price", None) is not None]
        if not limits:
            return None
        order = self.rng.choice(limits)
        more = Decimal(self.rng.choice([1, 5, 50, 10**6]))
        quantity = Quantity.from_str(f"{order.filled_qty.as_decimal() + more:.0f}") if self.rng.random() < 0.7 else None
        away = Decimal(str(self.rng.choice([0.001, -0.001, 0.02, -0.02, 0.2, -0.4])))
        middle = self.middle(order.instrument_id)
        price = Price.from_str(f"{middle * (1 + away):.2f}") if self.rng.random() < 0.7 else None
        return order.client_order_id, quantity, price, None

    def send(self, order: Any) -> None:
        if len(self.kept) < 50:
            self.kept.append(order)
        self.submit_order(order)

    def on_gate_denial(self, denial: GateDenial) -> None:
        self.denied = {part.partition(":")[0] for part in denial.reason.split("; ")}
        self.witness.codes.update(self.denied)
