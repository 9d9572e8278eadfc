"""What a caller asks for becomes a run spec that says what it supposes."""

from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from tests import mcp_world
from tests.mcp_dip import RULES
from tests.mcp_world import BARS, SIM, make_world
from ufos_mcp import catalogue, rules
from ufos_mcp.envelope import FOREIGN_CHARS_MAX, NOTICE, marked
from ufos_mcp.market import Market
from ufos_mcp.runs import few
from ufos_mcp.specs import SAMPLES, START_AMOUNT, Ask, daily, data_part, run_spec, venues
from ufos_mcp.tools.backtests import assumed, told
from ufos_mcp.trials import hindsight
from ufos_nautilus.engine.spec_file import parse_spec
from ufos_nautilus.errors import SpecError

world = mcp_world.world
RULE = {**RULES, "name": "dip"}


def spec_of(world: Path, symbol: str, **asked: Any) -> tuple[dict[str, Any], Any, Ask]:
    ask = Ask(symbols=(symbol,), **asked)
    found = Market(world).find(symbol)
    return run_spec("x", found, ask, {"class_path": "a.b:C", "params": {}}), found, ask


def test_a_run_is_sampled_so_often_that_its_curve_stays_small(world: Path) -> None:
    minutes, _, _ = spec_of(world, BARS)
    span_s = 3_000 * 60
    assert minutes["recording"]["sample_interval_s"] == pytest.approx(span_s / SAMPLES, rel=0.01)
    seconds, _, _ = spec_of(world, SIM, depth=True)
    assert seconds["recording"]["sample_interval_s"] == 1.0
    for spec in (minutes, seconds):
        parse_spec(spec, source="test")


def test_what_a_run_supposes_is_said(world: Path) -> None:
    bars, found, ask = spec_of(world, BARS, fee_bps=2.5)
    assert assumed(bars) == "prices of recorded bars, no spread; fees 2.5 bps; no latency"
    assert assumed(daily(bars, found, ask)).startswith("quotes made from bars")
    assert assumed(spec_of(world, SIM, depth=True)[0]).startswith("the recorded order book")
    assert assumed(spec_of(world, SIM)[0]).startswith("recorded quotes")


def test_a_daily_book_gets_the_panel_capital_and_quotes_where_there_are_none(world: Path) -> None:
    spec, found, ask = spec_of(world, BARS)
    out = daily(spec, found, ask)
    assert parse_spec(out, source="test").books[0].capital == [f"{START_AMOUNT} USD"]
    assert [actor["id"] for actor in out["actors"]] == ["DAILY-PANEL"]
    assert out["data"][0]["quotes_from_bars"] == {}
    assert "actors" not in spec, "the spec it came from is as it was"
    quotes, found, ask = spec_of(world, SIM)
    assert "quotes_from_bars" not in daily(quotes, found, ask)["data"][0]


def test_classes_to_build_on_are_no_strategies() -> None:
    listed = catalogue.books()
    assert {"MarketMaker", "TimeSeriesMomentum", "Pairs"} <= set(listed)
    assert not {"DailyBook", "HistoryBook", "RuleStrategy"} & set(listed)
    assert (listed["TimeSeriesMomentum"].daily, listed["MarketMaker"].daily) == (True, False)


def test_rules_are_placed_on_what_is_asked_for(world: Path) -> None:
    market = Market(world)
    book = rules.book(RULE, market.find(BARS), Ask(symbols=(BARS,), params={"exits.max_bars": 7}))
    assert book["class_path"] == rules.BOOK
    assert book["params"]["strategy"]["exits"] == {"max_bars": 7}
    assert book["params"]["instrument_ids"] == [BARS]
    with pytest.raises(SpecError, match="no recorded bars"):
        rules.book(RULE, market.find(SIM), Ask(symbols=(SIM,)))
    made = {**RULE, "bars": "5-SECOND-MID-INTERNAL"}
    assert rules.book(made, market.find(SIM), Ask(symbols=(SIM,)))["params"]["currency"] == "USDT"
    with pytest.raises(SpecError, match="no quotes"):
        rules.book(made, market.find(BARS), Ask(symbols=(BARS,)))


def test_changes_of_rules_are_by_dotted_keys_and_leave_the_rest() -> None:
    out = rules.changed(RULE, {"sizing.units": 3, "exits.max_bars": 5, "bars": "1-DAY-LAST-EXTERNAL"})
    assert (out["sizing"], out["exits"]) == ({"kind": "units", "units": 3}, {"max_bars": 5})
    assert out["long"] == RULE["long"]
    assert RULE["sizing"] == {"kind": "units", "units": 10}


def test_what_runs_make_from_bars_is_no_market_of_its_own_and_imports_come_first(tmp_path: Path) -> None:
    make_world(tmp_path)
    generated = tmp_path / "catalogs" / "generated"
    generated.mkdir()
    (tmp_path / "catalogs" / "bars").rename(generated / "bar-quotes-0123")
    market = Market(tmp_path)
    assert sorted(market.stamps()) == ["sim"]
    make_world(tmp_path / "later")
    (tmp_path / "later" / "catalogs" / "sim").rename(generated / "single-0123")
    market = Market(tmp_path)
    assert sorted(market.stamps()) == ["generated/single-0123", "sim"]
    assert market.find(SIM).name == "sim", "though the generated one is newer"
    assert market.find(SIM, "generated/single-0123").name == "generated/single-0123"


def test_results_of_foreign_code_are_marked_and_their_texts_cleaned() -> None:
    data = {"tags": ["buy\u202e now", "x" * 10_000], "reason": {"a\u200bb": "c"}, "price": Decimal("1.5"), "n": 3}
    out = marked(data, "a run")
    assert (out["untrusted"], out["notice"], out["source"]) == (True, NOTICE, "a run")
    assert out["tags"][0] == "buy  now"
    assert len(out["tags"][1]) == FOREIGN_CHARS_MAX
    assert out["reason"] == {"a b": "c"}
    assert (out["price"], out["n"]) == (Decimal("1.5"), 3)


def test_long_lists_are_cut_in_answers_and_nowhere_else() -> None:
    data = {"symbols": [f"S{n}.X" for n in range(500)], "catalog": "c"}
    shown = told(data)["data"]
    assert (len(shown["symbols"]), shown["symbols"][-1]) == (11, "490 more")
    assert len(data["symbols"]) == 500
    assert few({str(n): 1 for n in range(12)})["more"] == 2


def test_data_from_before_the_cutoff_proves_little() -> None:
    data = {"first": "2024-01-01T00:00:00Z", "last": "2024-06-30T00:00:00Z"}
    assert hindsight("", data).startswith("undeclared")
    assert hindsight("2024-06", data).startswith("all data")
    assert hindsight("2024-03", data).startswith("part of")
    assert hindsight("2023-12", data).startswith("none")
    assert hindsight("2023-12", {"spec": "x"}).startswith("part of"), "of unknown span"


def test_the_order_book_is_replayed_only_where_it_is_wanted_or_all_there_is(world: Path) -> None:
    found = Market(world).find(SIM)
    assert data_part(found, Ask(symbols=(SIM,)))["tables"] == ["quotes", "trades"]
    deep = data_part(found, Ask(symbols=(SIM,), depth=True))["tables"]
    assert deep[-1] == "order_book_deltas"
    assert venues(found, Ask(symbols=(SIM,), depth=True), deep)[0]["book"] == "L2"
