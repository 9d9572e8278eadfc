"""What holds for any series and any fills: extremes survive thinning, money is exact."""

from datetime import UTC, datetime
from decimal import Decimal
from fractions import Fraction

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ufos_nautilus.report.measures import drawdown, money_by, spread_captured
from ufos_nautilus.report.thin import busiest_window, thin
from ufos_nautilus.run_schemas import DEC, SCHEMAS

VALUES = st.lists(st.one_of(st.none(), st.integers(-50, 50).map(float)), max_size=400)
TIMES = st.lists(st.integers(0, 2000), max_size=120).map(sorted)
CENTS = st.integers(1, 10**9).map(lambda n: Decimal(n).scaleb(-4))
LOTS = st.integers(1, 10**9).map(lambda n: Decimal(n).scaleb(-6))


@given(VALUES, st.integers(8, 60))
def test_a_thinned_series_keeps_its_extremes_its_ends_and_its_order(values, points):
    frame = pl.DataFrame({"i": range(len(values)), "v": pl.Series(values, dtype=pl.Float64)})
    thinned = thin(frame, "v", points)
    assert thinned.height <= points
    assert thinned["i"].is_sorted()
    assert thinned.equals(frame[thinned["i"]])
    assert (thinned["v"].min(), thinned["v"].max()) == (frame["v"].min(), frame["v"].max())
    if values:
        assert {0, len(values) - 1} <= set(thinned["i"])
    if len(values) <= points:
        assert thinned.equals(frame)
    if None in values:
        assert thinned["v"].null_count(), "a gap of the line was closed"


def test_thinning_to_next_to_nothing_is_refused():
    with pytest.raises(ValueError, match="8 at least"):
        thin(pl.DataFrame({"v": [1.0]}), "v", 7)


@given(TIMES, TIMES, st.integers(1, 40))
def test_the_busiest_window_holds_as_many_fills_as_any_that_starts_before_a_fill(decisions, fills, rows):
    window = busiest_window(pl.Series(decisions, dtype=pl.Int64), pl.Series(fills, dtype=pl.Int64), rows)
    if not decisions:
        assert window is None
        return
    assert window is not None
    assert window[0] in decisions
    assert window[1] in decisions
    if len(decisions) <= rows:
        assert window == (decisions[0], decisions[-1])
        return

    def held(start: int) -> int:
        return sum(decisions[start] <= t <= decisions[start + rows - 1] for t in fills)

    last = len(decisions) - rows
    starts = [min(max(sum(d <= t for d in decisions) - 1 - rows // 10, 0), last) for t in fills]
    if fills:
        assert sum(window[0] <= t <= window[1] for t in fills) == max(held(s) for s in starts)


@given(st.lists(st.tuples(st.sampled_from(["BUY", "SELL"]), CENTS, LOTS, CENTS, CENTS), min_size=1, max_size=30))
def test_spread_captured_is_exact_to_the_last_digit(fills):
    ts = datetime(2024, 1, 1, tzinfo=UTC)
    rows = [(ts, "", "", "", "b", "X.V", side, p, q, "MAKER", Decimal(0), "USD", bid, ask)
            for side, p, q, bid, ask in fills]  # fmt: skip
    facts = pl.DataFrame(
        {"instrument_id": ["X.V"], "tick": [Decimal("0.0001")], "multiplier": [Decimal(1)], "inverse": [False],
         "quote": ["USD"], "settlement": ["USD"]},
        schema_overrides={"tick": DEC, "multiplier": DEC},
    )  # fmt: skip
    frame = spread_captured(pl.DataFrame(rows, schema=SCHEMAS["fills"], orient="row"), facts)
    exact = sum(
        (1 if side == "BUY" else -1) * ((Fraction(bid) + Fraction(ask)) / 2 - Fraction(p)) * Fraction(q)
        for side, p, q, bid, ask in fills
    )
    assert Fraction(money_by(frame, "settlement", "captured")["USD"]) == exact


@given(st.lists(st.integers(-(10**12), 10**12).map(lambda n: Decimal(n).scaleb(-6)), min_size=1, max_size=50))
def test_a_drawdown_is_never_above_zero_and_zero_at_every_new_peak(values):
    frame = drawdown(pl.DataFrame({"equity": pl.Series(values, dtype=DEC)}))
    for i, (equity, peak, fall) in enumerate(frame.iter_rows()):
        assert peak == max(values[: i + 1])
        assert fall == equity - peak <= 0
