"""Prices off the grid of all others, found while a recording is read."""

from decimal import Decimal

import polars as pl
import pytest

from ufos_adapters.files.binance_rows import OffGridError, Store
from ufos_nautilus.market.tables import DECIMAL


def frame(prices: list[str]) -> pl.DataFrame:
    numbers = pl.Series("price", prices).cast(DECIMAL)
    return pl.DataFrame({"price": numbers, "size": pl.Series(["1"] * len(prices)).cast(DECIMAL)})


GRID = [f"{100 + n / 10:.1f}" for n in range(600)]


def test_one_price_finer_than_all_others_is_an_error() -> None:
    with pytest.raises(OffGridError, match=r"^130\.123456$"):
        Store().add("trades", frame([*GRID, "130.123456"]))
    store = Store()
    store.add("trades", frame(GRID))
    with pytest.raises(OffGridError):
        store.add("trades", frame(["100.0", "100.05"]))


def test_many_finer_prices_are_a_finer_grid() -> None:
    store = Store()
    store.add("trades", frame(GRID))
    store.add("trades", frame([f"{100 + n / 20:.2f}" for n in range(600)]))
    assert store.steps()[0] == Decimal("0.05")


def test_a_tick_that_is_given_is_not_looked_for() -> None:
    store = Store()
    store.tick_given = True
    store.add("trades", frame([*GRID, "130.123456"]))
    assert store.steps()[0] == Decimal("0.000002") * 1
