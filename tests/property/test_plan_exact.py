"""The exact planner against every combination of whole shares, and what holds for any portfolio."""

import itertools
import time
from decimal import Decimal as D
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.portfolios import DAY, NOW, lot, request, seeded_request
from ufos_nautilus.errors import DataError
from ufos_nautilus.portfolio import CostModel, PlanRequest, TaxRules, make_plan
from ufos_nautilus.portfolio.exact import plan_exact
from ufos_nautilus.portfolio.problem import Problem, make_problem
from ufos_nautilus.portfolio.tax import ordered
from ufos_nautilus.portfolio.trades import Trades

pytest.importorskip("scipy")

NAMES = ("AAA", "BBB", "CCC")


def small_request(seed: int, tax_weight: str = "0", flow: int = 0) -> PlanRequest:
    """Three names worth a few shares each, some lots of them, and little cash."""
    rng = Random(seed)
    prices = {name: str(D(rng.randrange(800, 6_000)) / 100) for name in NAMES}
    lots = tuple(
        lot(name, rng.randrange(1, 5), str(rng.randrange(10, 300)), rng.randrange(31, 900), f"{name}{i}")
        for name in NAMES
        for i in range(rng.randrange(0, 3))
    )
    draws = [rng.randrange(0, 10) for _ in NAMES]
    whole = max(sum(draws), 1) + rng.randrange(0, 3)
    weights = {n: str((D(d) / whole).quantize(D("0.0001"))) for n, d in zip(NAMES, draws, strict=True)}
    costs = CostModel(rate_bps=D(rng.randrange(0, 30)), half_spread_bps=D(0), impact=D(0))
    rules: dict[str, Any] = {"costs": costs, "tax": TaxRules(weight=D(tax_weight), order="least_tax")}
    target = {"cash": "rest"} if sum(map(D, weights.values())) <= 1 else {"cash": "0"}
    return request(prices, weights, lots, str(rng.randrange(20, 200)), target=target, rules=rules, flow=D(flow))


def objective(problem: Problem, net: dict[str, int], tax_weight: D) -> D | None:
    """Deviation, costs and weighted tax of net steps; None where the cash or the holdings do not allow them."""
    total, cash = D(0), problem.cash
    for symbol, name in problem.names.items():
        steps = net[symbol]
        if steps < -name.held:
            return None
        total += abs(name.value + steps * name.step_value - name.want) + abs(steps) * name.step_value * name.rate
        cash -= steps * name.step_value + abs(steps) * name.step_value * name.rate
        left = -steps
        for part in ordered(name.slices, "least_tax"):
            taken = min(max(left, 0), part.steps)
            total += tax_weight * part.tax_per_step * taken
            left -= taken
    return total if cash >= problem.floor else None


def best_by_brute_force(problem: Problem, tax_weight: D) -> D | None:
    ranges = [range(-n.held, int(max(n.want - n.value, D(0)) / n.step_value) + 3) for n in problem.names.values()]
    values = [
        objective(problem, dict(zip(problem.names, steps, strict=True)), tax_weight)
        for steps in itertools.product(*ranges)
    ]
    return min((v for v in values if v is not None), default=None)


def net_of(problem: Problem, trades: Trades) -> dict[str, int]:
    return {symbol: trades.steps(symbol) for symbol in problem.names}


@pytest.mark.parametrize("tax_weight", ["0", "1"])
@pytest.mark.parametrize("seed", range(60))
def test_three_assets_equal_brute_force(seed: int, tax_weight: str) -> None:
    """Brute force looks at every whole number of shares of every name; the solver finds as good a combination."""
    made = small_request(seed, tax_weight, flow=(0, 50, -30)[seed % 3])
    problem = make_problem(made)
    best = best_by_brute_force(problem, D(tax_weight))
    if best is None:
        with pytest.raises(DataError, match="no trades leave"):
            plan_exact(problem, D(0), D(tax_weight), gap=0.0)
        return
    found = objective(problem, net_of(problem, plan_exact(problem, D(0), D(tax_weight), gap=0.0)), D(tax_weight))
    assert found is not None
    assert abs(found - best) <= D("1e-6") * problem.basis


@settings(max_examples=40)
@given(seed=st.integers(0, 10_000), names=st.integers(1, 12), lots=st.integers(1, 6), weight=st.sampled_from([0, 1, 5]))
def test_whatever_the_portfolio_nothing_is_oversold_and_the_buffer_stays(
    seed: int, names: int, lots: int, weight: int
) -> None:
    made = seeded_request(names, lots, seed, nav=200_000, tax=TaxRules(weight=D(weight)))
    held = {(part.symbol, part.ref): part.quantity for part in made.lots}
    for method in ("exact", "proportional"):
        plan = make_plan(made, method)
        assert plan.cash_after >= plan.cash_floor
        assert len({o.symbol for o in plan.orders}) == len(plan.orders), "no name is bought and sold in one plan"
        for order in plan.orders:
            assert all(0 < part.quantity <= held[order.symbol, part.ref] for part in order.lots)
            if order.side == "SELL":
                assert sum(part.quantity for part in order.lots) == order.quantity


@pytest.mark.parametrize("seed", range(5))
def test_the_exact_plan_is_never_further_from_the_target_than_the_proportional_one(seed: int) -> None:
    made = seeded_request(40, 3, seed)
    exact, plain = make_plan(made, "exact"), make_plan(made, "proportional")
    slack = D("2e-6") * exact.nav
    assert exact.deviation + exact.half_spread + exact.commission <= plain.deviation + plain.cost + slack


@pytest.mark.parametrize("seed", range(5))
def test_the_least_taxed_lots_save_tax_at_equal_deviation(seed: int) -> None:
    first_in = make_plan(seeded_request(40, 5, seed), "exact")
    least = make_plan(seeded_request(40, 5, seed, tax=TaxRules(order="least_tax")), "exact")
    assert least.deviation == first_in.deviation
    assert {o.symbol: o.quantity for o in least.orders} == {o.symbol: o.quantity for o in first_in.orders}
    assert least.tax.tax < first_in.tax.tax


@pytest.mark.parametrize("seed", range(3))
def test_weighing_tax_lowers_it_further_for_little_deviation(seed: int) -> None:
    least = make_plan(seeded_request(40, 5, seed, tax=TaxRules(order="least_tax")), "exact")
    weighed = make_plan(seeded_request(40, 5, seed, tax=TaxRules(weight=D(1))), "exact")
    slack = D("2e-6") * least.nav
    assert weighed.tax.tax <= least.tax.tax + slack
    assert weighed.deviation + weighed.tax.tax <= least.deviation + least.tax.tax + slack


def test_a_loss_is_not_taken_where_the_name_would_be_bought_back() -> None:
    """With a heavy weight on tax, selling a losing lot and buying it back would pay; a plan never does it."""
    held = (lot("AAA", 10, "9000", 100),)
    rules = {"tax": TaxRules(weight=D(100))}
    plan = make_plan(request({"AAA": "100"}, {"AAA": "1"}, held, "1000", rules=rules), "exact")
    assert [o.side for o in plan.orders] == ["SELL"]
    assert plan.no_rebuy == {"AAA": NOW + 30 * DAY}


@pytest.mark.slow
def test_five_hundred_names_and_five_thousand_lots_take_a_second_at_most() -> None:
    make_plan(seeded_request(3, 1, 1), "exact")  # scipy is imported once
    for weight in (0, 1):
        made = seeded_request(500, 10, 1, nav=50_000_000, tax=TaxRules(weight=D(weight)))
        started = time.process_time()
        plan = make_plan(made, "exact")
        assert time.process_time() - started < 1.5, "a second is the goal; half of one is left for a slow machine"
        assert len(plan.orders) > 400
