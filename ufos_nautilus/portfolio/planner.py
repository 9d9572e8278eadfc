"""Makes plans: a request in, a sealed plan out; the same request always gives the same plan."""

from collections.abc import Mapping, Sequence
from decimal import ROUND_HALF_EVEN, Decimal
from typing import Literal

from ufos_nautilus.errors import DataError, SpecError
from ufos_nautilus.portfolio.costs import Cost, cents
from ufos_nautilus.portfolio.exact import OPTIMUM_GAP, plan_exact
from ufos_nautilus.portfolio.plan import Drift, LotSale, NameWeight, Plan, PlannedOrder, PlanTax, Violation
from ufos_nautilus.portfolio.problem import PlanRequest, Problem, make_problem
from ufos_nautilus.portfolio.proportional import plan_proportional
from ufos_nautilus.portfolio.tax import NS_PER_DAY, effect
from ufos_nautilus.portfolio.trades import ZERO, Trades, cash_after, cost_of, deviation

Method = Literal["exact", "proportional"]
TRIES = 12
"""Times a planner is asked again with more cash reserved for costs that do not grow with value."""
EIGHT = Decimal("0.00000001")


def make_plan(request: PlanRequest, method: Method = "exact", gap: float = OPTIMUM_GAP) -> Plan:
    """Plan the orders that take a portfolio to its target.

    Parameters
    ----------
    request : PlanRequest
        Holdings, target, market, restrictions and rules.
    method : {"exact", "proportional"}
        Integer programming (needs scipy), or every name to the nearest whole step.
    gap : float
        Distance from the optimum at which the exact planner may stop, as a share of net asset value; 0 proves it.

    Raises
    ------
    BadInputError
        If the request can't be planned; there is no plan then.

    """
    problem = make_problem(request)
    trades, costs, left = decide(problem, request, method, gap)
    orders = _orders(problem, trades, costs)
    taxed = effect({s: [(p.slice, p.steps) for p in parts] for s, parts in trades.sold.items()})
    weights = _weights(problem, trades, problem.nav, left)
    validity_ns = int(request.rules.validity_s * 1_000_000_000)
    losing = {s for s, parts in trades.sold.items() if any(p.slice.gain_per_step < 0 for p in parts)}
    until = request.as_of_ns + request.rules.tax.wash_days * NS_PER_DAY
    plan = Plan(
        portfolio=request.portfolio,
        owner=request.owner,
        currency=request.currency,
        created_ns=request.as_of_ns,
        expires_ns=request.as_of_ns + validity_ns,
        method=method,
        status=trades.status,
        mode=request.rules.mode,
        target=request.target.name,
        target_cash=request.target.cash,
        max_weight=request.rules.max_weight,
        nav=cents(problem.nav),
        cash_before=request.cash,
        flow=request.flow,
        cash_after=left,
        cash_floor=cents(problem.floor),
        deviation=cents(deviation(problem, trades)),
        orders=orders,
        weights=weights,
        drift_before=_drift(weights, "before", request.cash / problem.nav if problem.nav else ZERO, request),
        drift_after=_drift(weights, "after", left / (problem.basis - _spent(costs)), request),
        commission=sum((c.commission for c in costs.values()), start=ZERO),
        half_spread=sum((c.half_spread for c in costs.values()), start=ZERO),
        impact=sum((c.impact for c in costs.values()), start=ZERO),
        tax=PlanTax(**taxed._asdict(), order=request.rules.tax.order, weight=request.rules.tax.weight),
        restrictions=request.restrictions.to_dict(),
        violations=tuple(_violations(problem, request, orders, weights)),
        notes=tuple(problem.notes),
        no_rebuy=dict.fromkeys(sorted(losing), until),
    )
    return plan.sealed()


def decide(
    problem: Problem, request: PlanRequest, method: Method, gap: float = OPTIMUM_GAP
) -> tuple[Trades, dict[str, Cost], Decimal]:
    """Return the trades of a problem, their costs by symbol, and the cash that is left.

    Raises
    ------
    SpecError
        If there is no such method.
    DataError
        If the cash that must stay can't be left.

    """
    rules = request.rules
    reserve = _fixed_costs(problem, request) if method == "exact" else ZERO
    for number in range(1, TRIES + 1):
        if method == "exact":
            trades = plan_exact(problem, reserve, rules.tax.weight, gap)
        elif method == "proportional":
            trades = plan_proportional(problem, reserve, rules.min_order_value)
        else:
            raise SpecError(f"there is no planning method {method!r}", expected="exact or proportional")
        left = cash_after(problem, trades, rules.costs)
        if left >= problem.floor or not trades.symbols():
            costs = {s: cost_of(problem, s, trades.steps(s), rules.costs) for s in trades.symbols()}
            return trades, costs, left
        reserve += (problem.floor - left) * number
    raise DataError(
        "costs take more cash than must stay, however the orders are cut",
        expected="cash for commissions",
        next_step="lower the buffer, or trade fewer names",
    )


def _fixed_costs(problem: Problem, request: PlanRequest) -> Decimal:
    """Return about what orders cost beyond what grows with their value, so that few plans are made in vain."""
    trades = plan_proportional(problem, ZERO)
    extra = ZERO
    for symbol in trades.symbols():
        name, steps = problem.names[symbol], trades.steps(symbol)
        extra += cost_of(problem, symbol, steps, request.rules.costs).total - abs(steps) * name.step_value * name.rate
    return cents(max(extra, ZERO) * Decimal("1.05"))


def _spent(costs: Mapping[str, Cost]) -> Decimal:
    return sum((c.total for c in costs.values()), start=ZERO)


def _orders(problem: Problem, trades: Trades, costs: Mapping[str, Cost]) -> tuple[PlannedOrder, ...]:
    """Return the orders, sells first, then by symbol."""
    out: list[PlannedOrder] = []
    for symbol in sorted(trades.symbols(), key=lambda s: (trades.steps(s) > 0, s)):
        name, steps, cost = problem.names[symbol], trades.steps(symbol), costs[symbol]
        lots = tuple(
            LotSale(
                ref=part.slice.ref,
                opened_ns=part.slice.opened_ns,
                quantity=part.steps * name.security.lot,
                cost=cents(part.steps * part.slice.cost_per_step),
                gain=cents(part.steps * part.slice.gain_per_step),
                tax=cents(part.steps * part.slice.tax_per_step),
                term="long" if part.slice.long_term else "short",
                washed=part.slice.washed,
            )
            for part in trades.sold.get(symbol, ())
        )
        out.append(
            PlannedOrder(
                symbol=symbol,
                instrument_id=name.security.instrument_id,
                side="BUY" if steps > 0 else "SELL",
                quantity=abs(steps) * name.security.lot,
                price=name.price.price,
                price_ns=name.price.ts_ns,
                value=cents(abs(steps) * name.step_value),
                commission=cost.commission,
                half_spread=cost.half_spread,
                impact=cost.impact,
                lots=lots,
            )
        )
    return tuple(out)


def _weights(problem: Problem, trades: Trades, nav: Decimal, left: Decimal) -> tuple[NameWeight, ...]:
    after = {s: n.value + n.odd * n.price.price + trades.steps(s) * n.step_value for s, n in problem.names.items()}
    whole = left + sum(after.values(), start=ZERO)
    return tuple(
        NameWeight(
            symbol=symbol,
            held=n.held * n.security.lot + n.odd,
            price=n.price.price,
            before=_eight((n.value + n.odd * n.price.price) / nav if nav else ZERO),
            target=_eight(problem.weights.get(symbol, ZERO)),
            after=_eight(after[symbol] / whole if whole else ZERO),
            step=_eight(n.step_value / whole if whole else ZERO),
            excluded=n.excluded,
        )
        for symbol, n in problem.names.items()
    )


def _eight(value: Decimal) -> Decimal:
    return value.quantize(EIGHT, ROUND_HALF_EVEN)


def _drift(weights: Sequence[NameWeight], when: str, cash: Decimal, request: PlanRequest) -> Drift:
    gaps = {w.symbol: abs(getattr(w, when) - w.target) for w in weights}
    gaps["cash"] = abs(_eight(cash) - request.target.cash)
    name = max(gaps, key=lambda s: (gaps[s], s))
    return Drift(active_share=_eight(sum(gaps.values(), start=ZERO) / 2), largest=_eight(gaps[name]), name=name)


def _violations(
    problem: Problem, request: PlanRequest, orders: Sequence[PlannedOrder], weights: Sequence[NameWeight]
) -> list[Violation]:
    rules = request.rules
    found: list[Violation] = []
    for w in weights:
        if w.excluded and w.after:
            found.append(Violation(code="restricted", subject=w.symbol, detail=f"{w.excluded} is still held"))
        if w.after > rules.max_weight:
            detail = f"{w.after:.4%} after the plan, {rules.max_weight:.4%} allowed"
            found.append(Violation(code="max_weight", subject=w.symbol, detail=detail))
    for order in orders:
        if rules.max_order_value is not None and order.value > rules.max_order_value:
            detail = f"{order.value:,} in one order, {rules.max_order_value:,} allowed"
            found.append(Violation(code="max_order_value", subject=order.symbol, detail=detail))
        if any(lot.washed for lot in order.lots):
            detail = "bought within the wash-sale days: the loss is not deductible"
            found.append(Violation(code="wash_sale", subject=order.symbol, detail=detail))
    traded = sum((order.value for order in orders), start=ZERO) / problem.basis
    if traded > rules.max_turnover:
        detail = f"{traded:.2%} of net asset value traded, {rules.max_turnover:.2%} allowed"
        found.append(Violation(code="max_turnover", subject=request.portfolio, detail=detail))
    return found
