"""Targets by skfolio: known cases, limits kept, exclusions never chosen."""

import random
from decimal import Decimal as D
from typing import Any

import pytest

from ufos_nautilus.errors import DataError, LimitExceededError, SpecError
from ufos_nautilus.portfolio import Restrictions, Security, makers
from ufos_nautilus.portfolio.makers import METHODS, make_target

pytest.importorskip("skfolio")
RNG = random.Random(1)
MARKET = [RNG.gauss(0.0004, 0.008) for _ in range(250)]
RETURNS = {f"A{i}": [(0.5 + i * 0.2) * m + RNG.gauss(0.0002, 0.004 + 0.002 * i) for m in MARKET] for i in range(6)}


@pytest.mark.parametrize("method", METHODS)
def test_every_method_keeps_cash_limits_and_exclusions(method: Any) -> None:
    views = ["A1 == 0.30", "A4 - A2 == 0.10"] if method == "black_litterman" else []
    target = make_target(
        method,
        RETURNS,
        cash=D("0.02"),
        max_weight=D("0.4"),
        restrictions=Restrictions.of({"sub_industries": ["Tobacco"]}),
        securities={"A0": Security(symbol="A0", sub_industry="Tobacco")},
        views=views,
    )
    assert "A0" not in target.weights
    assert all(0 < w <= D("0.400001") for w in target.weights.values())
    assert sum(target.weights.values()) + target.cash == 1
    assert abs(target.cash - D("0.02")) < D("0.000001")


def test_methods_order_names_as_they_should() -> None:
    equal = make_target("equal", RETURNS).weights
    assert max(equal.values()) - min(equal.values()) < D("0.000001")
    for method in ("inverse_volatility", "risk_parity", "minimum_variance"):
        weights = make_target(method, RETURNS).weights
        assert weights["A0"] > weights["A1"] > weights.get("A5", D(0))
    plain = make_target("black_litterman", RETURNS, views=["A5 == 0.00"]).weights
    keen = make_target("black_litterman", RETURNS, views=["A5 == 0.60"]).weights
    assert keen["A5"] > plain.get("A5", D(0))


@pytest.mark.parametrize(
    ("change", "error", "problem"),
    [
        ({"method": "best"}, SpecError, "no method"),
        ({"method": "equal", "views": ["A1 == 1"]}, SpecError, "takes no views"),
        ({"method": "black_litterman"}, SpecError, "needs views"),
        ({"method": "black_litterman", "views": ["ZZ == 0.1"]}, SpecError, "names ZZ"),
        ({"method": "black_litterman", "views": ["A1 > 0.1"]}, SpecError, "is no view"),
        ({"max_weight": D("0.1")}, SpecError, "can't make"),
        ({"cash": D(1)}, SpecError, "cash is 1"),
        ({"returns": {}}, DataError, "no name is left"),
        ({"returns": {"A": [0.1] * 30, "B": [0.1] * 29}}, DataError, "29 to 30 returns"),
        ({"returns": {"A": [0.1] * 5}}, DataError, "5 to 5 returns"),
        ({"returns": {"A": [float("nan")] * 30, "B": [0.1] * 30}}, DataError, "no finite number"),
        ({"method": "inverse_volatility", "max_weight": D("0.17")}, DataError, "wants"),
    ],
)
def test_what_cannot_be_made_is_refused(change: dict[str, Any], error: type[Exception], problem: str) -> None:
    with pytest.raises(error, match=problem):
        make_target(**{"method": "equal", "returns": RETURNS, **change})


def test_there_is_a_limit_to_the_returns(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(makers, "TARGET_RETURNS_MAX", 100)
    with pytest.raises(LimitExceededError):
        make_target("equal", RETURNS)
