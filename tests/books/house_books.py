"""Books for tests of the house: one sends given tickets, one answers requests for quotes as told."""

from decimal import Decimal
from typing import Any, ClassVar

from nautilus_trader.model import InstrumentId

from ufos_nautilus.crossing.residual import DeskQuote, QuoteRequest
from ufos_nautilus.crossing.ticket import Ticket
from ufos_nautilus.engine import Book, BookConfig
from ufos_nautilus.engine.house_book import TicketFill


class TicketBookConfig(BookConfig):
    """Tickets as (quote number, side, quantity)."""

    instrument_id: str = "AAAA.XSIM"
    tickets: tuple[tuple[int, str, Decimal], ...] = ()
    algorithm: str = "MARKET"
    desk: str = ""
    """``accept`` takes all residuals at the touch, ``worse`` offers one cent worse; empty answers nothing."""


class TicketBook(Book[TicketBookConfig]):
    """Sends its tickets at the given quotes of its instrument and remembers what came back."""

    Config: ClassVar[type[BookConfig]] = TicketBookConfig
    made: ClassVar[dict[str, "TicketBook"]] = {}

    def __init__(self, config: TicketBookConfig) -> None:
        super().__init__(config)
        self.quotes = 0
        self.ticket_fills: list[TicketFill] = []
        self.order_events: list[str] = []
        TicketBook.made[config.book_id] = self

    def on_start(self) -> None:
        self.subscribe_quotes(InstrumentId.from_str(self.params.instrument_id))

    def on_quote(self, quote: Any) -> None:
        self.quotes += 1
        for i, (when, side, quantity) in enumerate(self.params.tickets):
            if when == self.quotes:
                self.send_ticket(
                    Ticket(
                        order_id=f"{self.book_id}-{i}",
                        instrument=self.params.instrument_id,
                        intent_side=side,  # type: ignore[arg-type]
                        quantity=quantity,
                        ts_ns=self.clock.timestamp_ns(),
                        client_id=self.book_id,
                        exec_instruction={"algorithm": self.params.algorithm},
                    )
                )

    def on_ticket_fill(self, fill: TicketFill) -> None:
        self.ticket_fills.append(fill)

    def on_order_event(self, event: Any) -> None:
        super().on_order_event(event)
        self.order_events.append(type(event).__name__)

    def on_quote_request(self, request: QuoteRequest) -> DeskQuote | None:
        nbbo = request.nbbo
        if not self.params.desk or nbbo.bid is None or nbbo.ask is None:
            return None
        worse = 1 if self.params.desk == "worse" else 0
        price = nbbo.bid - worse if request.ticket.intent_side == "SELL" else nbbo.ask + worse
        return DeskQuote(2 * price, request.size, self.book_id)
