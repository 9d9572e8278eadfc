"""Plans: the same from the same request, sealed, expiring, and refused where the request can't be planned."""

from decimal import Decimal as D
from typing import Any

import pytest

from tests.portfolios import DAY, FREE, NOW, lot, request, seeded_request
from ufos_nautilus.errors import BadInputError, DataError, IntegrityError, LimitExceededError, SpecError
from ufos_nautilus.portfolio import Plan, Price, Security, TaxLot, TaxRules, make_plan, simulate
from ufos_nautilus.portfolio import problem as problem_module

METHODS = ["proportional", pytest.param("exact", marks=pytest.mark.filterwarnings("error"))]
TWO = {"AAA": "100", "BBB": "50"}


@pytest.fixture(autouse=True)
def _needs_scipy(request: pytest.FixtureRequest) -> None:
    if "exact" in str(request.node.callspec.params if hasattr(request.node, "callspec") else ""):
        pytest.importorskip("scipy")


def sides(plan: Plan) -> dict[str, tuple[str, D]]:
    return {o.symbol: (o.side, o.quantity) for o in plan.orders}


@pytest.mark.parametrize("method", METHODS)
def test_a_plan_reaches_its_target_in_whole_shares(method: Any) -> None:
    plan = make_plan(request(TWO, {"AAA": "0.6", "BBB": "0.4"}, cash="1000"), method)
    assert sides(plan) == {"AAA": ("BUY", D(6)), "BBB": ("BUY", D(8))}
    assert plan.cash_after == 0
    assert {w.symbol: w.after for w in plan.weights} == {"AAA": D("0.6"), "BBB": D("0.4")}
    assert plan.drift_before.active_share == 1
    assert plan.drift_after.active_share == 0
    assert plan.deviation == 0


@pytest.mark.parametrize("method", METHODS)
def test_the_same_request_gives_the_same_plan(method: Any) -> None:
    one, two = (make_plan(seeded_request(30, 5, 3), method) for _ in range(2))
    assert one.to_json() == two.to_json()
    assert one.hash == two.hash
    assert len(one.hash) == 64


def test_a_plan_reads_back_and_a_changed_one_is_refused() -> None:
    plan = make_plan(request(TWO, {"AAA": "1"}, (lot("BBB", 10, "400"),), "300"), "proportional")
    assert Plan.from_json(plan.to_json()) == plan
    with pytest.raises(IntegrityError, match="changed"):
        Plan.from_json(plan.to_json().replace('"quantity": "8"', '"quantity": "9"'))
    with pytest.raises(SpecError, match="no plan"):
        Plan.from_json("{}")


def test_a_plan_expires() -> None:
    plan = make_plan(request(TWO, {"AAA": "1"}, cash="300", rules={"validity_s": 60.0}), "proportional")
    plan.require_current(NOW)
    plan.require_current(NOW + 59 * 10**9)
    with pytest.raises(SpecError, match="expired 1 s ago"):
        plan.require_current(NOW + 61 * 10**9)
    with pytest.raises(SpecError, match="after this time"):
        plan.require_current(NOW - 1)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(
    ("changes", "error", "match"),
    [
        ({"target": {"cash": "0"}, "weights": {"AAA": "0.6"}}, SpecError, r"add up to 0\.6"),
        ({"weights": {"AAA": "-0.1", "BBB": "1.1"}}, SpecError, "target weight of AAA is -0.1"),
        ({"weights": {"AAA": "0.5", "BBC": "0.5"}}, SpecError, "BBC, which is not known"),
        ({"restrictions": {"names": ["AAA"]}}, SpecError, r"1 restricted names: AAA \(name AAA\)"),
        ({"rules": {"max_price_age_s": 3600.0}}, DataError, "AAA is 1.0 days old"),
        ({"as_of_ns": NOW - 2 * DAY}, DataError, "after the time of the plan"),
        ({"flow": D(-2000)}, DataError, "net asset value after the flow"),
        ({"weights": {}, "cash": "-10", "target": {"cash": "1"}}, DataError, "net asset value"),
        ({"weights": {"AAA": "nan"}}, SpecError, "finite|weights"),
        ({"lots": (lot("CCC", 1, "1"),)}, DataError, "no price of CCC"),
    ],
)
def test_what_cannot_be_planned_gives_an_error_and_no_plan(
    method: Any, changes: dict[str, Any], error: type, match: str
) -> None:
    arguments: dict[str, Any] = {"prices": TWO, "weights": {"AAA": "0.6", "BBB": "0.4"}, "cash": "1000", **changes}
    as_of = arguments.pop("as_of_ns", None)
    with pytest.raises(error, match=match):
        made = request(**arguments)
        if as_of is not None:
            made = problem_module.PlanRequest(**{f: getattr(made, f) for f in made.__slots__} | {"as_of_ns": as_of})
        make_plan(made, method)


def test_an_unknown_symbol_is_named_with_its_neighbour() -> None:
    with pytest.raises(SpecError) as caught:
        make_plan(request(TWO, {"AAB": "1"}, cash="1000"), "proportional")
    assert caught.value.next_step == "did you mean AAA?"


@pytest.mark.parametrize("method", METHODS)
def test_not_enough_cash_for_a_withdrawal_that_may_not_sell(method: Any) -> None:
    held = (lot("AAA", 10, "900"),)
    short = request(TWO, {"AAA": "1"}, held, "100", rules={"mode": "buy_only"}, flow=D(-500))
    with pytest.raises(DataError, match="not enough cash"):
        make_plan(short, method)


def test_too_many_lots_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(problem_module, "PLAN_LOTS_MAX", 1)
    with pytest.raises(LimitExceededError, match="2 lots"):
        make_plan(request(TWO, {"AAA": "1"}, (lot("AAA", 1, "1"), lot("AAA", 1, "1", ref="2"))), "proportional")


@pytest.mark.parametrize("method", METHODS)
def test_a_restricted_name_is_sold_and_its_weight_goes_to_the_others(method: Any) -> None:
    held = (lot("MO", 10, "100"), lot("AAA", 5, "500"))
    prices = {**TWO, "MO": "50"}
    tobacco = {"MO": Security(symbol="MO", sub_industry="Tobacco")}
    made = request(
        prices,
        {"AAA": "0.5", "BBB": "0.25", "MO": "0.25"},
        held,
        restrictions={"sub_industries": ["tobacco"]},
        rules={"restricted_target": "redistribute"},
        securities=tobacco,
    )
    plan = make_plan(made, method)
    assert sides(plan)["MO"] == ("SELL", D(10))
    assert {w.symbol: w.target for w in plan.weights}["MO"] == 0
    assert sum(w.target for w in plan.weights) == 1
    assert {w.symbol: w.excluded for w in plan.weights}["MO"] == "sub-industry Tobacco"
    assert plan.violations == ()


def test_a_restricted_name_that_is_kept_is_a_violation() -> None:
    made = request(
        TWO,
        {"AAA": "1"},
        (lot("BBB", 10, "100"),),
        "500",
        restrictions={"names": ["BBB"]},
        rules={"restricted_holding": "keep"},
    )
    plan = make_plan(made, "proportional")
    assert sides(plan) == {"AAA": ("BUY", D(5))}
    assert [(v.code, v.subject) for v in plan.violations] == [("restricted", "BBB")]


def test_a_restriction_that_matches_nothing_is_noted() -> None:
    plan = make_plan(request(TWO, {"AAA": "1"}, cash="500", restrictions={"sectors": ["Tobaco"]}), "proportional")
    assert plan.notes == ("restriction matches nothing known (sectors: Tobaco)",)


@pytest.mark.parametrize("method", METHODS)
def test_buy_only_never_sells(method: Any) -> None:
    made = request(TWO, {"AAA": "0.5", "BBB": "0.5"}, (lot("AAA", 10, "900"),), "300", rules={"mode": "buy_only"})
    assert sides(make_plan(made, method)) == {"BBB": ("BUY", D(6))}


@pytest.mark.parametrize("method", METHODS)
def test_cash_first_sells_no_more_than_a_withdrawal_lacks(method: Any) -> None:
    held = (lot("AAA", 10, "900"), lot("BBB", 4, "200"))
    enough = request(TWO, {"AAA": "0.5", "BBB": "0.5"}, held, "300", rules={"mode": "cash_first"}, flow=D(-300))
    assert make_plan(enough, method).orders == ()
    lacking = request(TWO, {"AAA": "0.5", "BBB": "0.5"}, held, "300", rules={"mode": "cash_first"}, flow=D(-500))
    plan = make_plan(lacking, method)
    assert sides(plan) == {"AAA": ("SELL", D(2))}
    assert plan.cash_after == 0


@pytest.mark.parametrize("method", METHODS)
def test_names_within_their_band_are_left_alone(method: Any) -> None:
    held = (lot("AAA", 52, "5000"), lot("BBB", 96, "4000"))
    made = request(TWO, {"AAA": "0.5", "BBB": "0.5"}, held, target={"band": "0.05"})
    assert make_plan(made, method).orders == ()
    narrow = request(TWO, {"AAA": "0.5", "BBB": "0.5"}, held, target={"band": "0.05", "bands": {"AAA": "0.01"}})
    assert sides(make_plan(narrow, method)) == {"AAA": ("SELL", D(2))}


@pytest.mark.parametrize("method", METHODS)
def test_a_name_sold_at_a_loss_is_not_bought_back_within_the_wash_days(method: Any) -> None:
    recent = request(TWO, {"AAA": "0.5", "BBB": "0.5"}, cash="1000", loss_sales={"AAA": NOW - 29 * DAY})
    assert "AAA" not in sides(make_plan(recent, method))
    past = request(TWO, {"AAA": "0.5", "BBB": "0.5"}, cash="1000", loss_sales={"AAA": NOW - 31 * DAY})
    assert "AAA" in sides(make_plan(past, method))


@pytest.mark.parametrize("method", METHODS)
def test_a_loss_on_a_name_bought_lately_is_not_deductible_and_said(method: Any) -> None:
    held = (lot("AAA", 5, "900", 400, "old"), lot("AAA", 5, "500", 10, "new"))
    plan = make_plan(request(TWO, {"BBB": "1"}, held), method)
    assert [v.code for v in plan.violations] == ["wash_sale"]
    assert plan.tax.washed_loss == -400
    assert plan.tax.tax == 0
    assert plan.no_rebuy == {"AAA": NOW + 30 * DAY}


@pytest.mark.parametrize(
    ("order", "refs", "tax"),
    [
        ("fifo", ["a", "b"], "30"),
        ("lifo", ["c", "b"], "-90"),
        ("highest_cost", ["c", "a"], "-168"),
        ("least_tax", ["c", "a"], "-168"),
    ],
)
def test_lots_are_sold_in_the_chosen_order(order: Any, refs: list[str], tax: str) -> None:
    held = (
        TaxLot("AAA", "a", NOW - 800 * DAY, D(10), D(1120)),
        TaxLot("AAA", "b", NOW - 700 * DAY, D(10), D(730)),
        TaxLot("AAA", "c", NOW - 100 * DAY, D(10), D(1360)),
    )
    rules = {"tax": TaxRules(order=order, short_rate=D("0.4"), long_rate=D("0.2"))}
    plan = make_plan(request(TWO, {"AAA": "0.3334"}, held, rules=rules), "proportional")
    assert [part.ref for part in plan.orders[0].lots] == refs
    assert plan.tax.tax == D(tax)


def test_gains_split_by_how_long_a_lot_was_held() -> None:
    held = (lot("AAA", 10, "600", 366, "long"), lot("AAA", 10, "800", 365, "short"))
    plan = make_plan(request(TWO, {"BBB": "1"}, held), "proportional")
    assert (plan.tax.long_gain, plan.tax.short_gain) == (400, 200)
    assert plan.tax.tax == D("400") * D("0.20") + D("200") * D("0.37")


def test_limits_that_a_plan_does_not_keep_are_listed() -> None:
    rules = {"max_weight": D("0.5"), "max_order_value": D(500), "max_turnover": D("0.9")}
    plan = make_plan(request(TWO, {"AAA": "0.6", "BBB": "0.4"}, cash="1000", rules=rules), "proportional")
    assert {v.code for v in plan.violations} == {"max_weight", "max_order_value", "max_turnover"}


def test_costs_are_estimated_part_by_part() -> None:
    from ufos_nautilus.portfolio import CostModel

    costs = CostModel(per_unit=D("0.01"), rate_bps=D(1), minimum=D(1), half_spread_bps=D(5), impact=D("0.5"))
    price = Price(price=D(100), ts_ns=NOW, daily_volume=D(1_000_000), daily_volatility=D("0.02"))
    cost = costs.estimate(D(10_000), price)
    assert (cost.commission, cost.half_spread, cost.impact) == (D(200), D(500), D(1000))
    assert costs.estimate(D(1), price).commission == 1


@pytest.mark.parametrize("method", METHODS)
def test_minimum_commissions_never_take_the_cash_below_its_floor(method: Any) -> None:
    from ufos_nautilus.portfolio import CostModel

    rules = {"costs": CostModel(minimum=D(9), rate_bps=D(0), half_spread_bps=D(0), impact=D(0))}
    prices = {f"S{i}": str(10 + i) for i in range(20)}
    plan = make_plan(request(prices, dict.fromkeys(prices, "0.05"), cash="2000", rules=rules), method)
    assert plan.commission == 9 * len(plan.orders)
    assert plan.cash_after >= plan.cash_floor == 0


def test_a_simulation_fills_the_orders_at_other_prices() -> None:
    plan = make_plan(request(TWO, {"AAA": "0.6", "BBB": "0.4"}, cash="1000"), "proportional")
    same = simulate(plan)
    assert (same.nav, same.cash, same.active_share) == (1000, 0, 0)
    dearer = simulate(plan, {"AAA": D(110)})
    assert dearer.cash == -60
    assert [v.code for v in dearer.violations] == ["cash"]
    assert simulate(plan, move=D("-0.5")).cash == 500
    with pytest.raises(DataError, match="price of AAA"):
        simulate(plan, {"AAA": D(0)})


def test_an_unknown_method_or_mode_is_refused() -> None:
    with pytest.raises(BadInputError, match="planning method"):
        make_plan(request(TWO, {"AAA": "1"}, cash="10"), "magic")  # pyright: ignore[reportArgumentType]
    with pytest.raises(SpecError, match="mode"):
        request(TWO, {"AAA": "1"}, rules={"mode": "both", "costs": FREE})
