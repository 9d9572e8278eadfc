"""Trades in whole steps, what they cost exactly, and how far from the target they leave a portfolio."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import NamedTuple

from ufos_nautilus.portfolio.costs import Cost, CostModel, cents
from ufos_nautilus.portfolio.problem import Problem
from ufos_nautilus.portfolio.tax import Slice

ZERO = Decimal(0)


class Sold(NamedTuple):
    """Part of a tax lot that is sold."""

    slice: Slice
    steps: int


@dataclass(slots=True)
class Trades:
    """What a planner decided: steps bought, and slices sold, by symbol; never both for one symbol."""

    bought: dict[str, int] = field(default_factory=dict)
    sold: dict[str, list[Sold]] = field(default_factory=dict)
    status: str = "complete"
    """How good the planner says it is."""

    def steps(self, symbol: str) -> int:
        """Return signed steps: bought less sold."""
        return self.bought.get(symbol, 0) - sum(part.steps for part in self.sold.get(symbol, ()))

    def symbols(self) -> list[str]:
        """Return the symbols that trade, in order."""
        return sorted({s for s, n in self.bought.items() if n} | {s for s, parts in self.sold.items() if parts})


def sell(slices: Sequence[Slice], steps: int) -> list[Sold]:
    """Return the first `steps` steps of slices in their order."""
    taken: list[Sold] = []
    for part in slices:
        if steps <= 0:
            break
        count = min(steps, part.steps)
        taken.append(Sold(part, count))
        steps -= count
    return taken


def cost_of(problem: Problem, symbol: str, steps: int, model: CostModel) -> Cost:
    """Return the estimated cost of trading so many steps of a name."""
    name = problem.names[symbol]
    return model.estimate(abs(steps) * name.security.lot, name.price)


def cash_after(problem: Problem, trades: Trades, model: CostModel) -> Decimal:
    """Return the cash that is left after the flow, all trades at their prices, and all costs."""
    cash = problem.cash
    for symbol in trades.symbols():
        steps = trades.steps(symbol)
        cash -= cents(steps * problem.names[symbol].step_value) + cost_of(problem, symbol, steps, model).total
    return cash


def deviation(problem: Problem, trades: Trades) -> Decimal:
    """Return the sum over names of the distance between value after trading and target value, base currency."""
    return sum(
        (abs(n.value + trades.steps(symbol) * n.step_value - n.want) for symbol, n in problem.names.items()), start=ZERO
    )
