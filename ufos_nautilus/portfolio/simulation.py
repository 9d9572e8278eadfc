"""What a plan would do at other prices: a dry run that trades nothing."""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import ROUND_HALF_EVEN, Decimal

from ufos_nautilus.errors import DataError
from ufos_nautilus.portfolio.costs import cents
from ufos_nautilus.portfolio.plan import Plan, Violation

ZERO = Decimal(0)
EIGHT = Decimal("0.00000001")


@dataclass(frozen=True, slots=True, kw_only=True)
class Simulation:
    """A portfolio after a plan that was filled at given prices.

    Parameters
    ----------
    nav, cash, cost : Decimal
        After all orders and costs, base currency; what trading cost.
    weights : dict
        Symbol -> fraction of net asset value.
    active_share : Decimal
        Half the sum of all differences from the target, cash included.
    violations : tuple of Violation
        Limits that would not be kept.

    """

    nav: Decimal
    cash: Decimal
    cost: Decimal
    weights: dict[str, Decimal]
    active_share: Decimal
    violations: tuple[Violation, ...]


def simulate(plan: Plan, prices: Mapping[str, Decimal] | None = None, move: Decimal = ZERO) -> Simulation:
    """Fill a plan's orders at other prices.

    Parameters
    ----------
    plan : Plan
        The orders; quantities stay as planned.
    prices : mapping, optional
        Symbol -> price; the planned price where there is none.
    move : Decimal
        Relative change of every planned price, for example ``Decimal("-0.05")``.

    Raises
    ------
    DataError
        If a price is not positive.

    """
    given = dict(prices or {})
    held: dict[str, Decimal] = {}
    price: dict[str, Decimal] = {}
    for name in plan.weights:
        held[name.symbol] = name.held
        price[name.symbol] = given.get(name.symbol, name.price * (1 + move))
        if not price[name.symbol].is_finite() or price[name.symbol] <= 0:
            raise DataError(f"the price of {name.symbol} is {price[name.symbol]}", expected="a positive decimal")
    cash, cost = plan.cash_before + plan.flow, ZERO
    for order in plan.orders:
        signed = order.quantity if order.side == "BUY" else -order.quantity
        held[order.symbol] = held.get(order.symbol, ZERO) + signed
        scale = price[order.symbol] / order.price
        spent = cents((order.commission + order.half_spread + order.impact) * scale)
        cash -= cents(signed * price[order.symbol]) + spent
        cost += spent
    nav = cash + sum((q * price[s] for s, q in held.items()), start=ZERO)
    if nav <= 0:
        raise DataError(f"net asset value at these prices is {nav:.2f}", expected="more than zero")
    weights = {s: (q * price[s] / nav).quantize(EIGHT, ROUND_HALF_EVEN) for s, q in held.items()}
    gaps = sum((abs(weights[n.symbol] - n.target) for n in plan.weights), start=abs(cash / nav - plan.target_cash))
    return Simulation(
        nav=cents(nav),
        cash=cash,
        cost=cost,
        weights=weights,
        active_share=(gaps / 2).quantize(EIGHT, ROUND_HALF_EVEN),
        violations=tuple(_violations(plan, weights, cash, nav)),
    )


def _violations(plan: Plan, weights: Mapping[str, Decimal], cash: Decimal, nav: Decimal) -> list[Violation]:
    found: list[Violation] = []
    if cash < 0:
        found.append(Violation(code="cash", subject=plan.portfolio, detail=f"{cash:.2f} of cash"))
    elif cash < cents(plan.target_cash * nav) and cash < plan.cash_floor:
        detail = f"{cash:.2f} of cash, {plan.cash_floor:.2f} should stay"
        found.append(Violation(code="cash_buffer", subject=plan.portfolio, detail=detail))
    for name in plan.weights:
        weight = weights[name.symbol]
        if name.excluded and weight:
            found.append(Violation(code="restricted", subject=name.symbol, detail=f"{name.excluded} is still held"))
        if weight > plan.max_weight:
            detail = f"{weight:.4%} of net asset value, {plan.max_weight:.4%} allowed"
            found.append(Violation(code="max_weight", subject=name.symbol, detail=detail))
    return found
