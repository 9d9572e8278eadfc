"""The worked example: a client sells 1000, a strategy buys 500, and the residual is offered to the desk."""

from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final

from ufos_nautilus.crossing.best_execution import cross_fee, cross_record
from ufos_nautilus.crossing.crosser import Crosser
from ufos_nautilus.crossing.grid import Grid
from ufos_nautilus.crossing.residual import Decision, DeskQuote, decide, request_quote
from ufos_nautilus.crossing.terms import Cross, CrossingRules, Standing
from ufos_nautilus.crossing.ticket import Ticket, decimal_text

GRID: Final = Grid(price_precision=2, size_precision=0)
START_NS: Final = 1_767_364_200_000_000_000
"""2026-01-02 14:30 UTC."""
MS: Final = 1_000_000
BID: Final = Decimal("190.13")
ASK: Final = Decimal("190.15")


@dataclass(frozen=True, slots=True)
class WorkedExample:
    """What the example led to."""

    cross: Cross
    buyer: Standing
    seller: Standing
    decision: Decision

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON-ready data; money as text."""
        fee = cross_fee(self.cross)
        decision, grid = self.decision, self.cross.grid
        price = None if decision.half_units is None else decimal_text(grid.price(decision.half_units))
        return {
            "cross": cross_record(self.cross, fee, fee),
            "residual": {
                "order_id": self.cross.sell.order_id,
                "quantity": decimal_text(grid.size(decision.desk + decision.market)),
                "desk": decimal_text(grid.size(decision.desk)),
                "desk_price": price,
                "market": decimal_text(grid.size(decision.market)),
                "algorithm": decision.algorithm if decision.market else None,
                "reason": decision.reason.value,
            },
        }


def worked_example(desk_price: Decimal | None = BID) -> WorkedExample:
    """Run the example.

    Parameters
    ----------
    desk_price : Decimal or None
        What the desk would pay for the residual; None if it does not answer.

    Returns
    -------
    WorkedExample
        500 cross at the midpoint of 190.13 and 190.15; the client's other 500 go to the desk if it pays at least the
        bid, else they are worked on the market by TWAP.

    """
    crosser = Crosser(CrossingRules())
    crosser.add_symbol("AAPL", GRID)
    crosser.on_nbbo("AAPL", "XNAS", GRID.price_units(BID), 300, GRID.price_units(ASK), 400, START_NS)
    client = Ticket(
        order_id="C-1",
        instrument="AAPL.XNAS",
        intent_side="SELL",
        quantity=Decimal(1000),
        ts_ns=START_NS + 100 * MS,
        client_id="WM-ALICE",
        desk_id="IB-DESK",
        exec_instruction={"algorithm": "TWAP", "horizon_s": 60},
    )
    strategy = Ticket(
        order_id="S-1",
        instrument="AAPL.XNAS",
        intent_side="BUY",
        quantity=Decimal(500),
        ts_ns=START_NS + 200 * MS,
        strategy_tag="AM-CORE",
    )
    crosser.on_ticket(client)
    (cross,) = crosser.on_ticket(strategy).crosses
    buyer, seller = crosser.commit(cross.cross_id)
    left = crosser.cancel(client.order_id, strategy.ts_ns)  # the residual leaves the pool for the desk
    request = request_quote(client, left.closed, crosser.nbbo("AAPL", strategy.ts_ns))
    quote = None
    if desk_price is not None:
        quote = DeskQuote(GRID.half_units(desk_price), left.closed, "IB-DESK")
    return WorkedExample(cross, buyer, seller, decide(request, quote, GRID))
