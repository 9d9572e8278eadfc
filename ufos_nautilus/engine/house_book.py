"""What a book does with tickets: sends them into the house, lends its hand to legs of crosses, works what is left."""

from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal
from typing import Any, NamedTuple

from nautilus_trader.model import ExecAlgorithmId, InstrumentId, OrderSide, Price, Quantity, TimeInForce

from ufos_nautilus.crossing.ticket import Ticket
from ufos_nautilus.errors import SpecError
from ufos_nautilus.run_schemas import TICKET_TAG

SIDES = {"BUY": OrderSide.BUY, "SELL": OrderSide.SELL}
TIMED = ("TWAP", "VWAP")
TIMED_DEFAULTS: dict[str, Any] = {"horizon_secs": 60, "interval_secs": 10}
"""How a residual is spread where its instruction does not say."""


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
    """Return the order that works a ticket's residual on the lit market, by an algorithm unless it is ``MARKET``.

    A limit of the ticket is kept: the order is a limit order then, at the last tick within it; so is an expiry. The
    engine's TWAP knows neither, so such a ticket is worked by VWAP with a flat profile, which sends the same slices.

    Raises
    ------
    SpecError
        If the run has no such algorithm.

    """
    if algorithm == "TWAP" and (ticket.limit is not None or ticket.expiry_ns):
        algorithm, parameters = "VWAP", {**parameters, "profile": "flat"}
    if algorithm != "MARKET" and algorithm not in book.algorithms:
        raise SpecError(
            f"ticket {ticket.order_id} asks for {algorithm}, which this run does not have",
            expected=f"one of {', '.join(sorted(book.algorithms))}, or MARKET",
        )
    instrument_id = InstrumentId.from_str(ticket.instrument)
    instrument = book.cache.instrument(instrument_id)
    terms: dict[str, Any] = {"tags": [f"{TICKET_TAG}{ticket.order_id}"]}
    if algorithm != "MARKET":
        if algorithm in TIMED:
            parameters = TIMED_DEFAULTS | parameters
        if ticket.expiry_ns:
            parameters = {**parameters, "deadline_ns": ticket.expiry_ns}
        terms["exec_algorithm_id"] = ExecAlgorithmId(algorithm)
        terms["exec_algorithm_params"] = {k: str(v) for k, v in parameters.items()}
    if ticket.expiry_ns and ticket.limit is not None:
        terms |= {"time_in_force": TimeInForce.GTD, "expire_time": ticket.expiry_ns}
    side = SIDES[ticket.intent_side]
    size = Quantity.from_str(f"{quantity:.{instrument.size_precision}f}")
    if ticket.limit is None:
        # Where a market order eats all there is, a venue with depth would keep the rest open for ever; one that knows
        # the best price alone fills it a tick further.
        if instrument_id.venue.value in book.deep_venues:
            terms["time_in_force"] = TimeInForce.IOC
        return book.order_factory.market(instrument_id, side, size, **terms)
    tick = instrument.price_increment.as_decimal()
    # A limit between two ticks: the one that is no worse for its owner.
    rounding = ROUND_FLOOR if ticket.intent_side == "BUY" else ROUND_CEILING
    limit = (ticket.limit / tick).to_integral_value(rounding) * tick
    return book.order_factory.limit(
        instrument_id, side, size, Price.from_str(f"{limit:.{instrument.price_precision}f}"), **terms
    )
