"""The weights of SPY as a target: every name within one share, and the figures with and without tax."""

import csv
from decimal import Decimal as D
from pathlib import Path

import pytest

from tests.portfolios import DAY, NOW
from ufos_nautilus.portfolio import Market, Plan, PlanRequest, PlanRules, Price, Security, TaxLot, TaxRules, make_plan
from ufos_nautilus.portfolio.targets import read_target

pytest.importorskip("scipy")


@pytest.fixture(scope="module")
def weights_file(shared_data: Path) -> Path:
    return shared_data / "benchmark_weights" / "spy_20201130.csv"


def market(path: Path) -> Market:
    """Weight over shares held is price over fund value, so one price (AAPL's close of 119.05) gives all of them."""
    rows = list(csv.reader(path.read_text().splitlines()))
    apple = next(row for row in rows if row[0] == "AAPL")
    value = D("119.05") * D(apple[4]) / D(apple[3])
    prices = {r[0]: Price(price=(D(r[3]) * value / D(r[4])).quantize(D("0.01")), ts_ns=NOW - DAY) for r in rows}
    return Market({s: Security(symbol=s) for s in prices}, prices)


def plan_of(path: Path, lots: tuple[TaxLot, ...], cash: D, **tax: object) -> Plan:
    return make_plan(
        PlanRequest(
            portfolio="WM-INDEX",
            as_of_ns=NOW,
            cash=cash,
            lots=lots,
            target=read_target(path, cash="rest"),
            market=market(path),
            rules=PlanRules(tax=TaxRules(**tax)),  # pyright: ignore[reportArgumentType] (terms of the case)
        )
    )


def test_the_weights_of_spy_are_met_within_one_share_of_every_name(weights_file: Path) -> None:
    plan = plan_of(weights_file, (), D(10_000_000))
    assert len(plan.weights) == 503
    worst = max(plan.weights, key=lambda w: abs(w.after - w.target) / w.step)
    shares = abs(worst.after - worst.target) / worst.step
    print(f"\n503 names, {plan.nav:,} USD: furthest {worst.symbol}, {shares:.3f} of a share; cost {plan.cost} USD")
    assert shares <= 1
    assert plan.cash_after >= plan.cash_floor


def test_the_weights_of_spy_with_tax_cost_less_tax_at_equal_deviation(weights_file: Path) -> None:
    """Ten lots of every name at costs around its price; the index is bought from an equally weighted portfolio."""
    from random import Random

    rng = Random(5)
    lots: list[TaxLot] = []
    for symbol, price in market(weights_file).prices.items():
        for i in range(10):
            quantity = D(max(1, round(2_000 / float(price.price))))
            cost = (quantity * price.price * D(rng.randrange(60, 140)) / 100).quantize(D("0.01"))
            lots.append(TaxLot(symbol, f"{symbol}-{i}", NOW - rng.randrange(40, 1500) * DAY, quantity, cost))
    first_in = plan_of(weights_file, tuple(lots), D(50_000))
    least = plan_of(weights_file, tuple(lots), D(50_000), order="least_tax")
    weighed = plan_of(weights_file, tuple(lots), D(50_000), weight=D(1))
    for name, plan in (("first in, first out", first_in), ("least tax", least), ("tax weighed 1", weighed)):
        print(f"\n{name}: deviation {plan.deviation:,} USD, tax {plan.tax.tax:,} USD")
    assert len(lots) == 5_030
    assert least.deviation == first_in.deviation
    assert least.tax.tax < first_in.tax.tax
    assert weighed.tax.tax <= least.tax.tax
