"""The exact planner: least deviation from the target plus weighted tax and costs, by integer programming.

The distance of a name from its target is convex in whole steps, so it is written as steps of equal cost: down to the
last whole step before the target, across it, and beyond. That makes the relaxed problem tight: only the cash, which
all names share, can leave fractions. scipy is imported when a plan is made; it belongs to the extra ``portfolio``.
"""

from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, NamedTuple

from ufos_nautilus.errors import DataError, SpecError
from ufos_nautilus.limits import PLAN_SOLVER_NODES_MAX
from ufos_nautilus.portfolio.problem import Name, Problem
from ufos_nautilus.portfolio.tax import ordered
from ufos_nautilus.portfolio.trades import Sold, Trades, sell

SCALE = 1e6
"""The solver sees values in millionths of net asset value, so that its tolerances mean the same for every portfolio."""
OPTIMUM_GAP = 1e-6
"""Largest distance of a plan from the proven optimum as a share of net asset value: a hundredth of a basis point."""

SELLING_AVERSION = 2.0
"""Where only missing cash is raised, selling costs more than any nearness to the target can gain."""


class _Column(NamedTuple):
    """One variable: a number of steps of one name."""

    symbol: str
    kind: str
    """``buy``, ``sell`` (towards or beyond the target), ``lot`` (which lots; need not be whole) or ``side``."""
    upper: float
    cost: float
    cash: float
    """What one step does to the cash."""


@dataclass(slots=True)
class _Model:
    columns: list[_Column] = field(default_factory=list)
    entries: list[tuple[int, int, float]] = field(default_factory=list)
    """Row, column, coefficient."""
    low: list[float] = field(default_factory=list)
    high: list[float] = field(default_factory=list)

    def row(self, terms: list[tuple[int, float]], low: float, high: float) -> None:
        """Add a constraint on columns."""
        number = len(self.low)
        self.entries += [(number, column, value) for column, value in terms]
        self.low.append(low)
        self.high.append(high)

    def of(self, symbol: str, kind: str) -> list[int]:
        """Return the columns of one kind of a name."""
        return [i for i, c in enumerate(self.columns) if c.symbol == symbol and c.kind == kind]


def plan_exact(problem: Problem, reserve: Decimal, tax_weight: Decimal, gap: float = OPTIMUM_GAP) -> Trades:
    """Return the trades of least deviation, weighted tax and costs.

    Parameters
    ----------
    problem : Problem
        What is held, wanted and allowed.
    reserve : Decimal
        Cash kept beyond the floor, for costs that do not grow with value.
    tax_weight : Decimal
        What a unit of tax weighs against a unit of deviation; 0 sells lots in their order.
    gap : float
        Distance from the proven optimum at which the solver may stop, as a share of net asset value.

    Raises
    ------
    SpecError
        If scipy is not installed.
    DataError
        If no trades meet the cash that must be left.

    """
    trades = _solve(problem, reserve, tax_weight, gap, [])
    if not any(trades.sold.get(symbol) for symbol in trades.bought):
        return trades
    if not tax_weight:
        _net(trades)
        return trades
    # Selling at a loss and buying back in one plan is a wash sale: forbidden for every name where it could pay.
    tempting = [
        symbol
        for symbol, name in problem.names.items()
        if name.may_buy and name.may_sell and name.want > name.value and any(s.tax_per_step < 0 for s in name.slices)
    ]
    trades = _solve(problem, reserve, tax_weight, gap, tempting)
    _net(trades)
    return trades


def _columns(symbol: str, name: Name, unit: float, tax_weight: Decimal, aversion: float) -> list[_Column]:
    """Return the variables of one name; `aversion` is what selling a unit of value costs beside everything else."""
    step, rate = float(name.step_value) * unit, float(name.rate)
    whole, rest = divmod(abs(name.want - name.value), name.step_value)
    near = int(whole)
    across = 1.0 - 2.0 * float(rest / name.step_value)
    short = name.want > name.value
    out: list[_Column] = []
    if name.may_buy and short:
        spent = -step * (1 + rate)
        parts = ((near, -1.0), (1, across))
        out += [_Column(symbol, "buy", float(n), (slope + rate) * step, spent) for n, slope in parts if n]
    if name.may_sell and name.held:
        gained = step * (1 - rate)
        first = 0 if short else min(near, name.held)
        cross = 0 if short else min(1, name.held - first)
        parts = ((first, -1.0), (cross, across), (name.held - first - cross, 1.0))
        out += [_Column(symbol, "sell", float(n), (slope + rate + aversion) * step, gained) for n, slope in parts if n]
        if tax_weight:
            by_tax: dict[Decimal, int] = {}
            for part in name.slices:
                by_tax[part.tax_per_step] = by_tax.get(part.tax_per_step, 0) + part.steps
            for tax, steps in sorted(by_tax.items()):
                out.append(_Column(symbol, "lot", float(steps), float(tax * tax_weight) * unit, 0.0))
    return out


def _model(problem: Problem, reserve: Decimal, tax_weight: Decimal, exclusive: list[str]) -> _Model:
    unit = SCALE / float(problem.basis)
    model = _Model()
    cash: list[tuple[int, float]] = []
    for symbol, name in problem.names.items():
        first = len(model.columns)
        aversion = SELLING_AVERSION if problem.raise_only else 0.0
        model.columns += _columns(symbol, name, unit, tax_weight, aversion)
        own = list(enumerate(model.columns[first:], first))
        cash += [(i, c.cash) for i, c in own if c.cash]
        lots = [(i, -1.0) for i, c in own if c.kind == "lot"]
        if lots:
            model.row([(i, 1.0) for i, c in own if c.kind == "sell"] + lots, 0.0, 0.0)
    missing = float(problem.floor + reserve - problem.cash) * unit
    model.row(cash, missing, float("inf"))
    for symbol in exclusive:
        side = len(model.columns)
        buys, sells = model.of(symbol, "buy"), model.of(symbol, "sell")
        model.columns.append(_Column(symbol, "side", 1.0, 0.0, 0.0))
        most_bought = sum(model.columns[i].upper for i in buys)
        most_sold = sum(model.columns[i].upper for i in sells)
        model.row([*((i, 1.0) for i in buys), (side, -most_bought)], -float("inf"), 0.0)
        model.row([*((i, 1.0) for i in sells), (side, most_sold)], -float("inf"), most_sold)
    return model


def _solve(problem: Problem, reserve: Decimal, tax_weight: Decimal, gap: float, exclusive: list[str]) -> Trades:
    np, optimize, sparse = _scipy()
    model = _model(problem, reserve, tax_weight, exclusive)
    # The last column is net asset value as a constant: the solver stops at a gap relative to its objective, which
    # should not depend on how near the target can be met.
    count = len(model.columns) + 1
    cost = np.array([*(c.cost for c in model.columns), SCALE])
    upper = np.array([*(c.upper for c in model.columns), 1.0])
    lower = np.append(np.zeros(count - 1), 1.0)
    rows, columns, values = zip(*model.entries, strict=True) if model.entries else ((), (), ())
    matrix = sparse.csr_array((values, (rows, columns)), shape=(len(model.low), count))
    result = optimize.milp(
        cost,
        integrality=np.array([*(float(c.kind != "lot") for c in model.columns), 0.0]),
        bounds=optimize.Bounds(lower, upper),
        constraints=optimize.LinearConstraint(matrix, model.low, model.high),
        options={"mip_rel_gap": gap, "node_limit": PLAN_SOLVER_NODES_MAX},
    )
    if result.x is None:
        raise DataError(
            "no trades leave as much cash as must stay",
            expected="cash, or holdings that may be sold",
            next_step="lower the withdrawal or the buffer, or let the plan sell (mode full)",
        )
    gap_left = float(result.mip_gap or 0.0)
    status = "optimal" if result.status == 0 else f"stopped at {gap_left:.6%} of net asset value"
    return _trades(problem, model, np.rint(result.x).astype(int).tolist(), status, by_tax=bool(tax_weight))


def _trades(problem: Problem, model: _Model, x: list[int], status: str, *, by_tax: bool) -> Trades:
    trades = Trades(status=status)
    sells: dict[str, int] = {}
    for column, steps in zip(model.columns, x, strict=False):
        kind = {"buy": trades.bought, "sell": sells}.get(column.kind)
        if steps and kind is not None:
            kind[column.symbol] = kind.get(column.symbol, 0) + steps
    for symbol, steps in sells.items():
        # Tax grows with what is sold, so the lots that a number of steps takes follow from the number.
        slices = problem.names[symbol].slices
        trades.sold[symbol] = sell(ordered(slices, "least_tax") if by_tax else slices, steps)
    return trades


def _net(trades: Trades) -> None:
    """Cancel what is bought and sold of one name: the last parts of the sale first."""
    for symbol in [s for s in trades.bought if s in trades.sold]:
        over = min(trades.bought[symbol], sum(p.steps for p in trades.sold[symbol]))
        trades.bought[symbol] -= over
        kept: list[Sold] = []
        for part in reversed(trades.sold[symbol]):
            cut = min(over, part.steps)
            over -= cut
            if part.steps > cut:
                kept.append(Sold(part.slice, part.steps - cut))
        trades.sold[symbol] = kept[::-1]


def _scipy() -> tuple[Any, Any, Any]:
    try:
        import numpy
        from scipy import optimize, sparse
    except ImportError:
        raise SpecError(
            "an exact plan needs scipy, which is not installed",
            expected="the extra `portfolio`",
            next_step="install ufos-nautilus[portfolio], or plan with --method proportional",
        ) from None
    return numpy, optimize, sparse
