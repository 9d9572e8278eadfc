"""A book that sends every kind of order command once, and a gate that refuses what it is told to."""

from typing import Any, ClassVar

from nautilus_trader.model import ClientOrderId, InstrumentId, OrderSide, Price, Quantity

from ufos_nautilus.engine import Book, BookConfig, GateDenial, GateRequest


class OneOfEach(Book[BookConfig]):
    """At the fifth quote: a single order, a list, a modification, a market order and its close."""

    Config: ClassVar[type[BookConfig]] = BookConfig

    def __init__(self, config: BookConfig) -> None:
        super().__init__(config)
        self.instrument_id = InstrumentId.from_str("SIM-PERP.SIM")
        self.quotes = 0
        self.denials: list[GateDenial] = []
        self.events: list[str] = []

    def on_start(self) -> None:
        self.subscribe_quotes(self.instrument_id)

    def _limit(self, price: str) -> Any:
        return self.order_factory.limit(
            self.instrument_id, OrderSide.BUY, Quantity.from_str("1.00"), Price.from_str(price), post_only=True
        )

    def on_quote(self, quote: Any) -> None:
        self.quotes += 1
        if self.quotes == 5:
            self.single = self._limit("90.00")
            self.submit_order(self.single)
            pair = [self._limit("89.00"), self._limit("88.00")]
            self.submit_order_list(pair)
            self.submit_order(self.order_factory.market(self.instrument_id, OrderSide.BUY, Quantity.from_str("1.00")))
        elif self.quotes == 10:
            self.modify_order(ClientOrderId(str(self.single.client_order_id)), price=Price.from_str("91.00"))
        elif self.quotes == 15:
            self.close_all_positions(self.instrument_id)

    def on_order_event(self, event: Any) -> None:
        super().on_order_event(event)
        self.events.append(type(event).__name__)

    def on_gate_denial(self, denial: GateDenial) -> None:
        self.denials.append(denial)


class RefusingGate:
    """Refuses the actions it is given."""

    def __init__(self, *actions: str) -> None:
        self.actions = actions
        self.seen: list[GateRequest] = []

    def review(self, request: GateRequest) -> str | None:
        self.seen.append(request)
        return "refused on purpose" if request.action in self.actions else None
