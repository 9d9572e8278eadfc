"""What a ticket has left after crossing: a question to the desk, and where it goes on the desk's answer."""

from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from typing import Any, Final, Literal

from ufos_nautilus.crossing.grid import Grid
from ufos_nautilus.crossing.nbbo import Nbbo, NbboStatus
from ufos_nautilus.crossing.ticket import Side, Ticket
from ufos_nautilus.errors import SpecError

ALGORITHMS: Final = ("MARKET", "TWAP", "POV", "VWAP")
"""How a residual can be worked; the first sends it at once."""
DEFAULT_ALGORITHM: Final = "TWAP"
Disposal = Literal["hold", "hedge"]


class Reason(StrEnum):
    """Why the residual went where it went."""

    ACCEPTED = "accepted"
    NO_QUOTE = "the desk gave no quote"
    NO_MARKET = "no usable market to judge the quote by"
    WORSE_THAN_TOUCH = "worse for the client than the touch"
    BEYOND_LIMIT = "beyond the client's limit"
    THROUGH_THE_MARKET = "better than the far touch: taken for an error of the desk"
    SAME_OWNER = "desk and client are one owner"


@dataclass(frozen=True, slots=True)
class QuoteRequest:
    """Question to the desk: at what price it would take `size` (size units) of `ticket`, given this market."""

    ticket: Ticket
    size: int
    nbbo: Nbbo
    ts_ns: int


@dataclass(frozen=True, slots=True)
class DeskQuote:
    """The desk's answer.

    Parameters
    ----------
    half_units : int
        Price, half units of the grid.
    size : int
        At most so much, size units.
    beneficiary : str
        The desk's owner.
    disposal : {"hold", "hedge"}
        What the desk means to do with it.

    """

    half_units: int
    size: int
    beneficiary: str
    disposal: Disposal = "hold"


@dataclass(frozen=True, slots=True)
class Decision:
    """Where a residual goes: ``desk + market`` is the whole of it, in size units.

    `algorithm` and `parameters` say how the market part is worked; `reason` says what became of the desk's quote.
    """

    desk: int
    half_units: int | None
    market: int
    algorithm: str
    parameters: dict[str, Any]
    reason: Reason


def request_quote(ticket: Ticket, size: int, nbbo: Nbbo) -> QuoteRequest:
    """Return the question to the desk about `size` units left of `ticket`.

    Raises
    ------
    SpecError
        If nothing is left.

    """
    if size <= 0:
        raise SpecError(f"ticket {ticket.order_id} has {size} left", expected="a residual above zero")
    return QuoteRequest(ticket, size, nbbo, nbbo.ts_ns)


def decide(request: QuoteRequest, quote: DeskQuote | None, grid: Grid) -> Decision:
    """Give the residual to the desk if its price is no worse for the client than the touch, the rest to the market.

    Parameters
    ----------
    request : QuoteRequest
        What was asked; its market must be status OK for any quote to be accepted.
    quote : DeskQuote or None
        The answer.
    grid : Grid
        The symbol's.

    Returns
    -------
    Decision
        A desk that quotes for less than the residual gets its size; the market gets what remains.

    Raises
    ------
    SpecError
        If the ticket's instruction names an algorithm that does not exist.

    """
    algorithm, parameters = market_instruction(request.ticket)
    reason = judge(request, quote, grid)
    if quote is None or reason is not Reason.ACCEPTED:
        return Decision(0, None, request.size, algorithm, parameters, reason)
    taken = min(quote.size, request.size)
    return Decision(taken, quote.half_units, request.size - taken, algorithm, parameters, reason)


def judge(request: QuoteRequest, quote: DeskQuote | None, grid: Grid) -> Reason:
    """Return why the quote is or is not accepted."""
    ticket, nbbo = request.ticket, request.nbbo
    if quote is None or quote.size <= 0:
        return Reason.NO_QUOTE
    if quote.beneficiary == ticket.beneficiary:
        return Reason.SAME_OWNER
    if nbbo.status is not NbboStatus.OK or nbbo.bid is None or nbbo.ask is None:
        return Reason.NO_MARKET
    sign: int = _SIGN[ticket.intent_side]
    touch, far = (nbbo.ask, nbbo.bid) if sign > 0 else (nbbo.bid, nbbo.ask)
    # For a buyer lower is better; the sign turns the seller's comparisons round.
    if sign * quote.half_units > sign * 2 * touch:
        return Reason.WORSE_THAN_TOUCH
    if sign * quote.half_units < sign * 2 * far:
        return Reason.THROUGH_THE_MARKET
    if ticket.limit is not None and sign * quote.half_units > sign * grid.half_units(ticket.limit):
        return Reason.BEYOND_LIMIT
    return Reason.ACCEPTED


def market_instruction(ticket: Ticket) -> tuple[str, dict[str, Any]]:
    """Return the algorithm named in a ticket's instruction, TWAP if none is, and its other entries as parameters."""
    parameters = dict(ticket.exec_instruction)
    algorithm = str(parameters.pop("algorithm", DEFAULT_ALGORITHM)).upper()
    if algorithm not in ALGORITHMS:
        raise SpecError(
            f"ticket {ticket.order_id} asks for algorithm {algorithm!r}", expected=f"one of {', '.join(ALGORITHMS)}"
        )
    return algorithm, parameters


def hedge_size(inventory: Decimal, hold_limit: Decimal) -> Decimal:
    """Return what the desk trades on the market: nothing within `hold_limit`, else back to it.

    Parameters
    ----------
    inventory : Decimal
        The desk's net position after it took the residual, units.
    hold_limit : Decimal
        Largest position it holds, units, zero or more.

    Returns
    -------
    Decimal
        Signed units: above zero is a purchase.

    Raises
    ------
    SpecError
        If the limit is negative.

    """
    if hold_limit < 0:
        raise SpecError(f"hold_limit is {hold_limit}", expected="zero or more")
    if abs(inventory) <= hold_limit:
        return Decimal(0)
    return hold_limit - inventory if inventory > 0 else -hold_limit - inventory


_SIGN: Final[dict[Side, int]] = {"BUY": 1, "SELL": -1}
