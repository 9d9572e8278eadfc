"""Seeded portfolios for tests of planning."""

from collections.abc import Mapping
from decimal import Decimal as D
from random import Random
from typing import Any

from ufos_nautilus.portfolio import Market, PlanRequest, PlanRules, Price, Restrictions, Security, Target, TaxLot
from ufos_nautilus.portfolio.costs import CostModel

NOW = 1_600_000_000 * 10**9
DAY = 86_400 * 10**9
FREE = CostModel(per_unit=D(0), rate_bps=D(0), minimum=D(0), half_spread_bps=D(0), impact=D(0))


def lot(symbol: str, quantity: int, cost: str, days: int = 500, ref: str = "1") -> TaxLot:
    """A lot bought so many days ago."""
    return TaxLot(symbol, ref, NOW - days * DAY, D(quantity), D(cost))


def request(
    prices: Mapping[str, str],
    weights: Mapping[str, str],
    lots: tuple[TaxLot, ...] = (),
    cash: str = "0",
    target: Mapping[str, Any] | None = None,
    rules: Mapping[str, Any] | None = None,
    **more: Any,
) -> PlanRequest:
    """A request from plain texts; what the weights leave is kept in cash unless the target says otherwise."""
    terms: dict[str, Any] = {"weights": weights, "cash": "rest", **(target or {})}
    securities = more.pop("securities", {})
    return PlanRequest(
        portfolio="WM-TEST",
        as_of_ns=NOW,
        cash=D(cash),
        lots=lots,
        target=Target.of(terms),
        market=Market(
            {s: securities.get(s, Security(symbol=s, instrument_id=f"{s}.XNAS")) for s in prices},
            {s: Price(price=D(p), ts_ns=NOW - DAY) for s, p in prices.items()},
        ),
        restrictions=Restrictions.of(more.pop("restrictions", {})),
        rules=PlanRules(**{"costs": FREE, **(rules or {})}),
        **more,
    )


def seeded_request(names: int, lots_each: int, seed: int, nav: int = 10_000_000, **rules: Any) -> PlanRequest:
    """A portfolio of many names and lots with random weights to go to, one percent in cash."""
    rng = Random(seed)
    securities, prices, lots = {}, {}, []
    for i in range(names):
        symbol = f"S{i:04d}"
        price = D(rng.randrange(500, 60_000)) / 100
        securities[symbol] = Security(symbol=symbol, instrument_id=f"{symbol}.XNAS")
        prices[symbol] = Price(price=price, ts_ns=NOW - DAY, daily_volume=D(2_000_000), daily_volatility=D("0.015"))
        for j in range(lots_each):
            quantity = D(rng.randrange(1, max(2, int(2 * nav / names / lots_each / float(price)))))
            cost = (quantity * price * D(rng.randrange(50, 150)) / 100).quantize(D("0.01"))
            lots.append(TaxLot(symbol, f"{symbol}-{j}", NOW - rng.randrange(31, 1500) * DAY, quantity, cost))
    draws = [rng.random() for _ in range(names)]
    weights = [D(x / sum(draws) * 0.99).quantize(D("0.00000001")) for x in draws]
    weights[-1] += D("0.99") - sum(weights)
    return PlanRequest(
        portfolio="WM-SEEDED",
        as_of_ns=NOW,
        cash=D(nav) // 20,
        lots=tuple(lots),
        target=Target(weights=dict(zip(securities, weights, strict=True)), cash=D("0.01")),
        market=Market(securities, prices),
        rules=PlanRules(**rules),
    )
