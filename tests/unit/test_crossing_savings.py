"""What crossing saved, per party."""

from decimal import Decimal

import polars as pl
import pytest

from ufos_nautilus.crossing.best_execution import cross_record, crosses_frame
from ufos_nautilus.crossing.example import worked_example
from ufos_nautilus.crossing.savings import internalization_rate, party_rows, savings
from ufos_nautilus.errors import DataError


@pytest.fixture
def crosses() -> pl.DataFrame:
    record = cross_record(worked_example().cross, Decimal("0.50"), Decimal("1.00"))
    other = record | {"cross_id": "X-AAPL-2", "currency": "EUR"}
    return crosses_frame([record, record | {"cross_id": "X-AAPL-3"}, other])


def test_each_cross_has_two_parties(crosses):
    rows = party_rows(crosses)
    assert rows.height == 6
    assert rows.filter(pl.col("side") == "BUY")["beneficiary"].unique().to_list() == ["AM-CORE"]


def test_savings_add_up_per_party_and_currency(crosses):
    found = savings(crosses).to_dicts()
    assert [(r["beneficiary"], r["currency"], r["crosses"]) for r in found] == [
        ("AM-CORE", "EUR", 1),
        ("AM-CORE", "USD", 2),
        ("WM-ALICE", "EUR", 1),
        ("WM-ALICE", "USD", 2),
    ]
    core, alice = found[1], found[3]
    assert (core["saved"], core["fee"], core["net"]) == (Decimal(10), Decimal(1), Decimal(9))
    assert (alice["saved"], alice["fee"], alice["net"]) == (Decimal(10), Decimal(2), Decimal(8))
    assert (core["quantity"], core["value"]) == (Decimal(1000), Decimal(190140))
    assert core["net_bps"] == round(9 / 190140 * 1e4, 4)
    assert savings(crosses, ("root",)).height == 2


def test_unknown_columns_are_refused(crosses):
    with pytest.raises(DataError):
        savings(crosses, ("colour",))
    with pytest.raises(DataError):
        savings(crosses.drop("buy_fee"))


def test_the_internalization_rate_is_a_share_of_traded_value():
    fills = pl.DataFrame(
        {
            "client": ["A", "A", "A", "B", "C"],
            "route": ["cross", "desk", "market", "market", "cross"],
            "value": [Decimal(500), Decimal(300), Decimal(200), Decimal(50), Decimal(0)],
        }
    )
    by_client = internalization_rate(fills, ("client",)).to_dicts()
    assert [(r["client"], r["cross_rate"], r["internal_rate"]) for r in by_client] == [
        ("A", 0.5, 0.8),
        ("B", 0.0, 0.0),
        ("C", None, None),
    ]
    (whole,) = internalization_rate(fills).to_dicts()
    assert (whole["total"], whole["cross_rate"]) == (Decimal(1050), 500 / 1050)
    with pytest.raises(DataError):
        internalization_rate(fills.with_columns(route=pl.lit("elsewhere")))
