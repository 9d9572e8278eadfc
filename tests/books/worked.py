"""A book whose tickets go to the market as told, and algorithms and a gate that misbehave on purpose."""

from decimal import Decimal
from typing import Any, ClassVar

from nautilus_trader.model import InstrumentId
from pydantic import Field

from ufos_nautilus.crossing.ticket import Ticket
from ufos_nautilus.engine import Book, BookConfig, GateRequest
from ufos_nautilus.engine.algorithm import Algorithm, Work
from ufos_strategies.algorithms.vwap import Vwap


class WorkedBookConfig(BookConfig):
    """Tickets as (quote number, side, quantity)."""

    instrument_id: str = "AAAA.XSIM"
    tickets: tuple[tuple[int, str, Decimal], ...] = ((5, "SELL", Decimal(1001)),)
    instruction: dict[str, Any] = Field(default_factory=dict)
    limit: Decimal | None = None
    expiry_s: float = 0.0
    cancel_after_s: float = 0.0
    """Cancel the first ticket's order after this; 0 never."""


class WorkedBook(Book[WorkedBookConfig]):
    """Sends its tickets past the house and remembers what became of them."""

    Config: ClassVar[type[BookConfig]] = WorkedBookConfig
    made: ClassVar[list["WorkedBook"]] = []

    def __init__(self, config: WorkedBookConfig) -> None:
        super().__init__(config)
        self.quotes = 0
        self.events: list[tuple[str, str, str]] = []
        """Event, client order id, reason."""
        WorkedBook.made.append(self)

    def on_start(self) -> None:
        self.subscribe_quotes(InstrumentId.from_str(self.params.instrument_id))

    def on_quote(self, quote: Any) -> None:
        self.quotes += 1
        p, now = self.params, self.clock.timestamp_ns()
        for i, (when, side, quantity) in enumerate(p.tickets):
            if when != self.quotes:
                continue
            if p.cancel_after_s and i == 0:
                at = now + int(p.cancel_after_s * 1e9)
                self.clock.set_time_alert_ns("cancel", at, self.guard(self.cancel_parent))
            self.send_ticket(
                Ticket(
                    order_id=f"{self.book_id}-{i}",
                    instrument=p.instrument_id,
                    intent_side=side,  # type: ignore[arg-type]
                    quantity=quantity,
                    ts_ns=now,
                    client_id=self.book_id,
                    exec_instruction=p.instruction,
                    internalization_flag=False,
                    limit=p.limit,
                    expiry_ns=now + int(p.expiry_s * 1e9) if p.expiry_s else 0,
                )
            )

    def cancel_parent(self, _: Any) -> None:
        (parent,) = (o for o in self.cache.orders() if "-E" not in str(o.client_order_id))
        self.cancel_order(parent.client_order_id)

    def on_order_event(self, event: Any) -> None:
        super().on_order_event(event)
        self.events.append((type(event).__name__, str(event.client_order_id), str(getattr(event, "reason", ""))))


class Failing(Vwap):
    """Raises at its second look."""

    name: ClassVar[str] = "VWAP"
    looks = 0

    def due(self, work: Work, now_ns: int) -> int:
        self.looks += 1
        if self.looks == 2:
            raise ZeroDivisionError("on purpose")
        return super().due(work, now_ns)


class Nameless(Algorithm):
    """Has no name, so no instruction could ask for it."""


class ClosingGate:
    """Lets a number of slices pass, then nothing."""

    def __init__(self, slices: int) -> None:
        self.left = slices
        self.seen: list[str] = []

    def review(self, request: GateRequest) -> str | None:
        self.seen.append(request.action)
        if request.action == "slice":
            self.left -= 1
            return "closed" if self.left < 0 else None
        return None
