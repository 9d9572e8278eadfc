"""A desk for many names on daily data: takes what clients have left at the touch or better, and works it off.

Where no quotes were recorded it prices from quotes made of bars, so its result says how the assumed spread pays for
the risk of holding overnight, not how a real desk would have fared.
"""

from decimal import Decimal
from typing import Any, ClassVar

from nautilus_trader.model import InstrumentId, OrderFilled, OrderSide, Quantity
from pydantic import Field

from ufos_nautilus.crossing.residual import DeskQuote, QuoteRequest
from ufos_nautilus.engine import Book, BookConfig
from ufos_strategies.actors.daily_panel import CLOSE_TOPIC, PanelClose

ZERO = Decimal(0)


class DailyDeskConfig(BookConfig):
    """Parameters of a desk."""

    instrument_ids: list[str] = Field(default_factory=list)
    """What it serves; empty for everything no other desk names."""
    max_value: Decimal = Field(default=Decimal(250_000), gt=0)
    """Largest position in one name, currency; it takes no more than fits."""
    hold_value: Decimal = Field(default=Decimal(25_000), ge=0)
    """What it goes back to in one name after the close, on the market, once it holds twice as much, currency."""
    improvement_bps: Decimal = Field(default=ZERO, ge=0, le=100)
    """How much better than the touch it quotes, basis points of price."""
    whole_tickets: bool = False
    """Takes the whole of what is asked or nothing, so that what is too large for it goes to the market in one piece."""
    skew: Decimal = Field(default=Decimal("0.5"), ge=0, le=1)
    """Part of the half spread given to who takes inventory off it."""


class DailyDesk(Book[DailyDeskConfig]):
    """Answers requests for quotes, and goes back to what it may hold after each close."""

    Config: ClassVar[type[BookConfig]] = DailyDeskConfig

    def __init__(self, config: DailyDeskConfig) -> None:
        super().__init__(config)
        self.positions: dict[str, Decimal] = {}
        self.counts: dict[str, int] = {"requests": 0, "taken": 0, "flattened": 0}
        self._lit: dict[str, str] = {}
        self._going: dict[str, Decimal] = {}

    def on_start(self) -> None:
        """Listen to closes."""
        self._lit = {s.symbol: s.instrument_id for s in self.securities.values()}
        self.listen(CLOSE_TOPIC, self.on_close)

    def on_quote_request(self, request: QuoteRequest) -> DeskQuote | None:
        """Quote the touch, better where the trade takes inventory off; nothing beyond the largest position."""
        bid, ask = request.nbbo.bid, request.nbbo.ask
        if bid is None or ask is None:
            return None
        self.counts["requests"] += 1
        ticket = request.ticket
        sign = 1 if ticket.intent_side == "SELL" else -1  # the desk's own side
        held = self.positions.get(ticket.root, ZERO)
        half = ask - bid  # half units
        better = int(half * self.params.skew) if held * sign < 0 else 0
        better = max(better, int(Decimal(ask + bid) * self.params.improvement_bps / 10_000))
        price = 2 * bid + better if sign > 0 else 2 * ask - better
        mark = Decimal(bid + ask) / 2
        grid_value = mark / 10 ** self._precision(ticket.instrument)
        room = self.params.max_value - sign * held * grid_value
        size = min(request.size, int(room / grid_value)) if room > 0 else 0
        if size <= 0 or (self.params.whole_tickets and size < request.size):
            return None
        self.counts["taken"] += 1
        return DeskQuote(price, size, self.book_id, "hold")

    def _precision(self, name: str) -> int:
        instrument: Any = self.cache.instrument(InstrumentId.from_str(name))
        return instrument.price_precision

    def on_order_event(self, event: Any) -> None:
        """Count the position."""
        if isinstance(event, OrderFilled):
            symbol = event.instrument_id.symbol.value
            quantity = event.last_qty.as_decimal()
            signed = quantity if event.order_side == OrderSide.BUY else -quantity
            self.positions[symbol] = self.positions.get(symbol, ZERO) + signed

    def on_close(self, close: PanelClose) -> None:
        """Bring every position back to what it may hold."""
        for symbol in sorted(self.positions):
            held, price = self.positions[symbol], close.closes.get(symbol)
            if not held or price is None:
                continue
            value = abs(held) * Decimal(str(price))
            if value <= 2 * self.params.hold_value:
                continue
            keep = int(self.params.hold_value / Decimal(str(price)))
            size = abs(held) - keep
            self.counts["flattened"] += 1
            side = OrderSide.SELL if held > 0 else OrderSide.BUY
            instrument_id = InstrumentId.from_str(self._lit[symbol])
            instrument: Any = self.cache.instrument(instrument_id)
            quantity = Quantity.from_str(f"{size:.{instrument.size_precision}f}")
            self.submit_order(self.order_factory.market(instrument_id, side, quantity))

    def figures(self) -> dict[str, Any]:
        """Return counts for the run's result."""
        return dict(self.counts)
