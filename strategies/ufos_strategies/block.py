"""Blocks: what several clients or strategies want of a name goes to the market as one order and is passed back.

Each fill is shared at its own price, in proportion to what everyone still waits for, by largest remainder, so that the
parts add up to the block. The book that trades ends flat; it bears the commissions of its orders.
"""

from decimal import Decimal
from typing import Any, ClassVar

from nautilus_trader.model import OrderFilled

from ufos_nautilus.crossing.ticket import Ticket
from ufos_nautilus.engine import BookConfig
from ufos_nautilus.errors import SpecError
from ufos_nautilus.ledger import BlockAllocation
from ufos_nautilus.run_schemas import TICKET_TAG
from ufos_strategies.daily import BLOCKS_TOPIC, DailyBook, DailyConfig


class BlockConfig(DailyConfig):
    """Parameters of a book that trades for others; `algorithm` says how blocks are worked on the market."""


class BlockBook(DailyBook[BlockConfig]):
    """Trades for every book whose parameter `through` names it; blocks cross inside the house like any other ticket."""

    Config: ClassVar[type[BookConfig]] = BlockConfig

    def __init__(self, config: BlockConfig) -> None:
        super().__init__(config)
        self._waiting: list[Ticket] = []
        self._blocks: dict[str, tuple[BlockAllocation[str], dict[str, Ticket]]] = {}
        self.counts |= {"blocks": 0, "orders_in_blocks": 0, "pieces": 0, "kept": 0}

    def on_start(self) -> None:
        """Listen to the books it trades for."""
        super().on_start()
        if self.house is None:
            raise SpecError(
                f"book {self.book_id} passes blocks back inside the house, and there is none",
                expected="a [crossing] table",
            )
        self.listen(f"{BLOCKS_TOPIC}.{self.book_id}", self._take)

    def _take(self, ticket: Ticket) -> None:
        if not self._waiting:
            now = self.clock.timestamp_ns()
            # All that is wanted at this moment is in when the next nanosecond begins.
            self.at(f"blocks-{now}", now + 1, self._send_blocks)
        self._waiting.append(ticket)

    def _send_blocks(self, _: Any) -> None:
        groups: dict[tuple[str, str], list[Ticket]] = {}
        for ticket in self._waiting:
            groups.setdefault((ticket.root, ticket.intent_side), []).append(ticket)
        self._waiting = []
        for (symbol, side), tickets in sorted(groups.items()):
            lot = self.lot(symbol)
            total = sum((t.quantity for t in tickets), Decimal(0))
            order_id = f"{self.book_id}-{self.counts['tickets'] + 1}"
            self._blocks[order_id] = (
                BlockAllocation({t.order_id: int(t.quantity / lot) for t in tickets}),
                {t.order_id: t for t in tickets},
            )
            self.counts["blocks"] += 1
            self.counts["orders_in_blocks"] += len(tickets)
            if self.ticket_log is not None:
                for ticket in tickets:
                    self.ticket_log(ticket.book, ticket)
            self.send(symbol, total if side == "BUY" else -total)

    def on_order_event(self, event: Any) -> None:
        """Share every fill of a block; what is passed on is no fill of a block."""
        super().on_order_event(event)
        if not isinstance(event, OrderFilled):
            return
        order = self.cache.order(event.client_order_id)
        tags = [str(tag) for tag in (order.tags or ())] if order is not None else []
        parent = next((t.removeprefix(TICKET_TAG) for t in tags if t.startswith(TICKET_TAG)), "")
        block = self._blocks.get(parent)
        if block is None:
            return
        allocation, tickets = block
        symbol = event.instrument_id.symbol.value
        lot, price = self.lot(symbol), event.last_px.as_decimal()
        for order_id, (units,) in allocation.fill(int(event.last_qty.as_decimal() / lot)).items():
            self.counts["pieces"] += 1
            house: Any = self.house
            if not house.allocate(tickets[order_id], self.book_id, units * lot, price):
                self.counts["kept"] += 1
        if not any(allocation.remaining.values()):
            del self._blocks[parent]
