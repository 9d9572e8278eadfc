"""What a book does with tickets: sends them into the house, lends its hand to legs of crosses, works what is left."""

from decimal import Decimal
from typing import Any, NamedTuple

from nautilus_trader.model import ExecAlgorithmId, InstrumentId, OrderSide, Quantity, TimeInForce

from ufos_nautilus.crossing.ticket import Ticket

SIDES = {"BUY": OrderSide.BUY, "SELL": OrderSide.SELL}
TICKET_TAG = "ticket:"
CROSS_TAG = "cross:"


class TicketFill(NamedTuple):
    """A piece of a ticket that traded inside the house."""

    order_id: str
    route: str
    """``"cross"`` or ``"desk"``."""
    quantity: Decimal
    price: Decimal
    done: bool
    """Nothing of the ticket is left in the house."""


def market_leg(book: Any, instrument_id: str, side: str, quantity: Decimal, precision: int, tags: list[str]) -> Any:
    """Return a market order of a book that fills at once or not at all; nothing is sent yet."""
    return book.order_factory.market(
        InstrumentId.from_str(instrument_id),
        SIDES[side],
        Quantity.from_str(f"{quantity:.{precision}f}"),
        time_in_force=TimeInForce.IOC,
        tags=tags,
    )


def market_order(book: Any, ticket: Ticket, quantity: Decimal, algorithm: str, parameters: dict[str, Any]) -> Any:
    """Return the order that works a ticket's residual on the lit market, by an algorithm unless it is ``MARKET``."""
    instrument_id = InstrumentId.from_str(ticket.instrument)
    instrument = book.cache.instrument(instrument_id)
    size = Quantity.from_str(f"{quantity:.{instrument.size_precision}f}")
    tags = [f"{TICKET_TAG}{ticket.order_id}"]
    if algorithm == "MARKET":
        return book.order_factory.market(instrument_id, SIDES[ticket.intent_side], size, tags=tags)
    return book.order_factory.market(
        instrument_id,
        SIDES[ticket.intent_side],
        size,
        exec_algorithm_id=ExecAlgorithmId(algorithm),
        exec_algorithm_params={k: str(v) for k, v in parameters.items()},
        tags=tags,
    )
