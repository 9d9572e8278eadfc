"""The desk's parts, each in a run of its own on a generated market."""

from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from tests.specs import market_spec
from ufos_nautilus.engine import RunResult, parse_spec, run_backtest
from ufos_nautilus.errors import DataError, RunFailedError, SpecError
from ufos_nautilus.limits import ACTORS_PER_RUN_MAX
from ufos_nautilus.market.synthetic import START_NS
from ufos_nautilus.report import RunTables, write_report
from ufos_nautilus.report.sections.attribution import run_attribution
from ufos_nautilus.research.attribution import by_book, require_exact

TICK = Decimal("0.01")


@pytest.fixture(autouse=True, scope="module")
def _generated(tmp_path_factory: pytest.TempPathFactory) -> Any:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("UFOS_GENERATED", str(tmp_path_factory.mktemp("generated")))
        yield


def run(root: Path, market: dict[str, Any] | None = None, actors: Any = (), **params: Any) -> RunResult:
    """Run the desk for a minute with these parameters; attribution has to be exact in every one of these runs."""
    spec = market_spec(actors=list(actors))
    spec["data"][0]["synthetic"]["params"] = {"duration_s": 60.0} | (market or {})
    spec["books"][0]["params"] |= params
    result = run_backtest(parse_spec(spec), root=root)
    require_exact(by_book(run_attribution(RunTables.load(result.directory)), result["ledger"]["books"]))
    return result


def desk(result: RunResult) -> dict[str, Any]:
    return result["desks"]["MM-SIM"]


def held(result: RunResult) -> pl.DataFrame:
    """The position after every fill."""
    sign = pl.when(pl.col("side") == "BUY").then(pl.col("quantity")).otherwise(-pl.col("quantity"))
    return result.fills.with_columns(sign.cast(pl.Decimal(38, 2)).cum_sum().alias("held"))


def seconds(frame: pl.DataFrame, column: str) -> pl.Series:
    return (frame[column].cast(pl.Int64) - START_NS) / 1e9


def messenger(*modes: tuple[float, str]) -> list[dict[str, Any]]:
    return [{"id": "MESSENGER-1", "class_path": "tests.books.messenger:Messenger", "params": {"modes": modes}}]


def test_the_desk_counts_what_it_did(tmp_path):
    figures = desk(run(tmp_path))
    assert figures["decisions"] > 100
    assert figures["seconds"] == pytest.approx(58.0, abs=0.5)
    assert 0.9 < figures["two_sided"] <= figures["quoted"] <= 1.0
    assert figures["mode"] == "NORMAL"


def test_the_report_says_where_the_profit_came_from(tmp_path):
    result = run(tmp_path)
    page = write_report(result.directory).read_text("utf-8")
    for text in (
        "Parts of the profit",
        "By side of the quote",
        "Profit of a fill as time passes",
        "exact",
        "Fill ratios of limit orders",
        "Queue: fills by how long",
        "What the desks counted",
        "suppressed",
    ):
        assert text in page, text  # fmt: skip
    assert "off " not in page.split("Parts of the profit")[1].split("</table>")[0]


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"levels": {"count": 21}}, "levels.count"),
        ({"inventory_target": "4"}, "inventory_target is beyond max_inventory"),
        ({"hedge": {"at": "2", "to": "2"}}, "has to be below"),
        ({"hedge": {"at": "4"}}, "would never hedge"),
        ({"quote_from": "2026-01-05T14:30:00"}, "no time zone"),
        ({"fade": {"hold_msec": 1.0}}, "hold_ms"),
        ({"order_size": "4"}, "max_inventory is below order_size"),
        ({"session": {"opens": "09:00", "closes": "17:00"}, "funding": {}}, "two horizons"),
    ],
    ids=range(8),
)
def test_parameters_that_make_no_sense_are_refused_before_the_run(tmp_path, params, message):
    with pytest.raises(SpecError, match=message):
        run(tmp_path, **params)


def test_more_actors_than_the_limit_are_refused():
    one = {"class_path": "tests.books.messenger:Messenger"}
    with pytest.raises(SpecError, match="actors"):
        parse_spec(market_spec(actors=[{"id": f"A-{i}", **one} for i in range(ACTORS_PER_RUN_MAX + 1)]))
    with pytest.raises(SpecError, match="'A-1' is there twice"):
        parse_spec(market_spec(actors=[{"id": "A-1", **one}] * 2))


def test_several_levels_stand_behind_each_other_with_their_sizes(tmp_path):
    result = run(tmp_path, levels={"count": 3, "step_ticks": 4, "size_ratio": 2.0}, max_inventory="20")
    orders = result.orders
    assert set(orders["quantity"].unique()) == {Decimal(1), Decimal(2), Decimal(4)}
    one = result.orders.filter(pl.col("side") == "BUY").sort("ts_init").head(3)
    assert one["ts_init"].n_unique() == 1
    assert [a - b for a, b in zip(one["price"][:-1], one["price"][1:], strict=True)] == [4 * TICK, 4 * TICK]
    assert held(result)["held"].abs().max() <= 20


def test_levels_never_promise_more_than_the_bound(tmp_path):
    """All of one side filled at once would still be within the bound."""
    result = run(tmp_path, levels={"count": 5, "step_ticks": 1}, max_inventory="2", gamma=0.001)
    assert held(result)["held"].abs().max() <= 2
    assert result["fills"] > 10


def test_sizes_shrink_on_the_side_that_adds_to_the_position(tmp_path):
    result = run(tmp_path, size_shape=2.0)
    after = held(result).with_columns(pl.col("held").shift(1).fill_null(0).alias("before"))
    adds = after.filter((pl.col("before") >= 1) & (pl.col("side") == "BUY"))
    assert adds.height
    assert adds["quantity"].max() < 1
    assert result.orders["quantity"].max() == 1


def test_no_order_grows_older_than_its_limit(tmp_path):
    still = {"sigma": 0.0, "A": 0.01}
    old = run(tmp_path, still)
    young = run(tmp_path, still, max_order_age_s=5.0)
    assert old.orders.height <= 4
    life = (young.orders["ts_last"] - young.orders["ts_init"]).filter(young.orders["status"] == "CANCELED")
    assert young.orders.height > 15
    assert life.max() < timedelta(seconds=5.3)


def test_after_a_fill_no_new_order_is_sent_for_a_while(tmp_path):
    result = run(tmp_path, fill_delay_s=2.0)
    fills, orders = seconds(result.fills, "ts").to_list(), seconds(result.orders, "ts_init").to_list()
    assert len(fills) > 5
    assert not [o for o in orders for f in fills if f + 0.01 < o < f + 2.0]


def test_the_desk_leans_towards_its_target(tmp_path):
    result = run(tmp_path, inventory_target="2")
    assert result.inventory["quantity"].mean() > 1  # type: ignore[operator]


def test_the_fee_is_added_to_the_depth_of_both_sides(tmp_path):
    plain, dear = run(tmp_path), run(tmp_path, fee_rate=0.001)
    width = [
        r.quotes.drop_nulls(["bid", "ask"]).filter(pl.col("inventory") == 0).select(pl.col("ask") - pl.col("bid"))
        for r in (plain, dear)
    ]
    assert dear["fills"] < plain["fills"] / 2
    assert width[1].to_series().min() - width[0].to_series().max() >= Decimal("0.17")  # type: ignore[operator]


def test_a_hanging_quote_stays_where_it_was_after_a_fill_of_the_other_side(tmp_path):
    plain = run(tmp_path)
    hanging = run(tmp_path, hanging={"hold_s": 10.0, "most_ticks": 1000.0})
    moved = []
    for result in (plain, hanging):
        changes = 0
        quotes = result.quotes.select(pl.col("ts").cast(pl.Int64), "bid", "ask").rows()
        for ts, side in result.fills.select(pl.col("ts").cast(pl.Int64), "side").rows():
            later = [q[2 if side == "BUY" else 1] for q in quotes if ts < q[0] < ts + 1_000_000_000]
            changes += len(set(later)) > 1
        moved.append(changes / result.fills.height)
    assert moved[1] < 0.5 * moved[0]


def test_outside_its_session_the_desk_is_silent_and_before_the_close_it_goes_flat(tmp_path):
    """The generated market opens at 14:30 UTC; the session ends 40 s later."""
    session = {"opens": "14:30:00", "closes": "14:30:40", "flat_s": 10.0}
    result = run(tmp_path, session=session)
    quotes = result.orders.filter(pl.col("order_type") == "LIMIT")
    assert seconds(quotes, "ts_init").max() < 30.0  # type: ignore[operator]
    assert held(result)["held"][-1] == 0
    assert seconds(result.orders.filter(pl.col("status") == "CANCELED"), "ts_last").max() < 31.0  # type: ignore[operator]


def test_halt_withdraws_everything_and_normal_resumes(tmp_path):
    result = run(tmp_path, actors=messenger((20.0, "HALT"), (40.0, "NORMAL")))
    sent = seconds(result.orders, "ts_init")
    assert sent.filter((sent > 20.0) & (sent < 40.0)).is_empty()
    assert sent.filter(sent < 20.0).len() and sent.filter(sent > 40.0).len()
    assert seconds(result.fills, "ts").is_between(20.01, 40.0).sum() == 0
    assert result.table("alerts")["detail"].to_list() == ["HALT: a test says so", "NORMAL: a test says so"]


def test_reduce_only_never_adds_to_the_position(tmp_path):
    result = run(tmp_path, actors=messenger((20.0, "REDUCE_ONLY")))
    after = held(result).with_columns(pl.col("held").shift(1).fill_null(0).alias("before"))
    later = after.filter((pl.col("ts").cast(pl.Int64) - START_NS) / 1e9 > 20.01)
    assert (later["held"].abs() <= later["before"].abs()).all()
    assert (later["held"] * later["before"] >= 0).all()
    assert desk(result)["mode"] == "REDUCE_ONLY"


def test_liquidate_sells_out_on_the_market_and_stays_out(tmp_path):
    result = run(tmp_path, actors=messenger((20.0, "LIQUIDATE")))
    assert held(result)["held"][-1] == 0
    later = result.orders.filter((pl.col("ts_init").cast(pl.Int64) - START_NS) / 1e9 > 20.0)
    assert set(later["order_type"]) <= {"MARKET"}
    assert later["ts_init"].len() >= 1


@pytest.mark.parametrize("algorithm", ["IOC", "TWAP"])
def test_a_position_beyond_its_bound_is_hedged_down(tmp_path, algorithm):
    part = {"at": "2", "to": "0.5", "algorithm": algorithm, "horizon_s": 3.0, "interval_s": 1.0, "pause_s": 0.5}
    result = run(tmp_path, hedge=part, gamma=0.001, max_inventory="4")
    figures = desk(result)
    assert figures["hedges"] >= 1
    takers = result.fills.filter(pl.col("liquidity") == "TAKER")
    assert Decimal(figures["hedged"]) == takers["quantity"].sum() > 0
    assert held(result)["held"].abs().max() <= 4
    if algorithm == "TWAP":
        assert takers.height > figures["hedges"]


def test_a_hedge_waits_until_the_quotes_of_its_side_are_gone(tmp_path):
    result = run(tmp_path, hedge={"at": "2", "to": "0"}, gamma=0.001, max_inventory="4")
    for hedge in result.orders.filter(pl.col("order_type") == "MARKET").iter_rows(named=True):
        same_side = result.orders.filter(
            (pl.col("order_type") == "LIMIT")
            & (pl.col("side") == hedge["side"])
            & (pl.col("ts_init") < hedge["ts_init"])
            & (pl.col("ts_last") > hedge["ts_init"])
        )
        assert same_side.is_empty()


def test_one_sided_volume_widens_the_quotes(tmp_path):
    toxic = {"bucket_volume": 2.0, "buckets": 5, "threshold": 0.2, "most_ticks": 20.0}
    plain, wide = run(tmp_path), run(tmp_path, toxicity=toxic)
    assert desk(wide)["impact_most_ticks"] > 0
    assert wide["fills"] < plain["fills"]


def test_the_desk_learns_the_fill_intensity_of_its_market(tmp_path):
    """True are A = 2 per second and k = 0.2 per tick; it starts from beliefs that are wrong by factors."""
    result = run(
        tmp_path,
        {"duration_s": 900.0, "A": 2.0},
        intensity={"prior_from_market": False, "prior_fills": 2.0, "half_life_s": 1e6},
        a_per_s=0.7,
        k_per_tick=0.5,
        max_inventory="10",
    )
    figures = desk(result)
    last = {r["name"]: r for r in result.table("estimates").iter_rows(named=True)}
    assert figures["intensity_state"] == last["k"]["state"] == "ready"
    assert last["sigma"]["value"] == pytest.approx(2.0, rel=0.15)
    assert abs(last["k"]["value"] - 0.2) < 3 * last["k"]["error"] < 0.2
    assert abs(last["A"]["value"] - 2.0) < 3 * last["A"]["error"]
    states = result.table("estimates").filter(pl.col("name") == "A")["state"]
    assert states[0] == "warming_up"


def test_the_first_belief_comes_from_the_market_where_it_says_something(tmp_path):
    part = {"prior_from_market": True}
    result = run(tmp_path, {"A": 20.0, "trade_lots_mean": 400.0}, intensity=part, warmup_s=20.0)
    assert desk(result)["intensity_prior"] in ("market", "config")
    assert desk(result)["intensity_rejected"] == 0
    quiet = run(tmp_path, {"A": 0.01}, intensity=part)
    assert desk(quiet)["intensity_prior"] == "config"
    assert desk(quiet)["intensity_state"] == "warming_up"
    assert desk(quiet)["a_per_s"] == pytest.approx(1.0, rel=0.5)


def test_an_actor_that_raises_fails_the_run(tmp_path):
    actors = [{"id": "BAD-1", "class_path": "tests.books.messenger:FailingActor"}]
    with pytest.raises(RunFailedError, match="FailingActor raised ZeroDivisionError"):
        run(tmp_path, actors=actors)


@pytest.mark.parametrize(
    ("actor", "message"),
    [
        ({"class_path": "tests.books.messenger:Nobody"}, "can't be imported"),
        ({"class_path": "tests.books.failing:FailingBook"}, "is no actor"),
        ({"class_path": "tests.books.messenger:Messenger", "params": {"mods": []}}, "did you mean 'modes'"),
        ({"class_path": "tests.books.messenger:Messenger", "params": {"actor_id": "X-1"}}, "other than actor_id"),
        (
            {
                "class_path": "ufos_strategies.actors.lead_lag:LeadLag",
                "params": {"leader": "SIM-PERB.SIM", "followers": ["SIM-PERP.SIM"]},
            },
            "did you mean 'SIM-PERP.SIM'",
        ),
    ],
)
def test_an_actor_that_makes_no_sense_is_refused_before_the_run(tmp_path, actor, message):
    with pytest.raises((SpecError, DataError), match=message):
        run(tmp_path, actors=[{"id": "ACTOR-1", **actor}])


def funded(rate: str) -> dict[str, Any]:
    venue = market_spec()["venues"][0]
    return venue | {"funding": [{"instrument_id": "SIM-PERP.SIM", "rate": rate, "interval_s": 5.0}]}


def run_funded(root: Path, rate: str, **params: Any) -> RunResult:
    spec = market_spec(venues=[funded(rate)])
    spec["data"][0]["synthetic"]["params"] = {"duration_s": 120.0}
    spec["books"][0]["params"] |= {"max_inventory": "10"} | params
    return run_backtest(parse_spec(spec), root=root)


def test_funding_is_settled_posted_and_a_part_of_the_profit(tmp_path):
    result = run_funded(tmp_path, "0.001")
    books = by_book(run_attribution(RunTables.load(result.directory)), result["ledger"]["books"])
    require_exact(books)
    assert result["ledger"]["reconciled"]
    paid = Decimal(0)
    position = held(result).select(pl.col("ts").cast(pl.Int64), "held").rows()
    mids = result.inventory.select(pl.col("ts").cast(pl.Int64), (pl.col("bid") + pl.col("ask")) / 2).rows()
    for at in range(START_NS + 5 * 10**9, START_NS + 120 * 10**9 + 1, 5 * 10**9):
        q = next((h for ts, h in reversed(position) if ts < at), Decimal(0))
        mid = next((m for ts, m in reversed(mids) if ts <= at), Decimal(100))
        paid += q * mid * Decimal("0.001")
    assert books["funding"][0] == pytest.approx(-paid, abs=Decimal("0.02"))
    assert books["funding"][0] != 0


def test_a_desk_that_knows_the_funding_leans_to_the_side_that_receives_it(tmp_path):
    means = {}
    for rate in ("0.001", "-0.001"):
        result = run_funded(tmp_path, rate, funding={"interval_s": 5.0, "holding_s": 5.0})
        means[rate] = result.inventory["quantity"].mean()
        paid = Decimal(result["ledger"]["books"]["MM-SIM"]["pnl"]["USDT"]["funding"])
        assert paid > 0, "it receives more than it pays"
    assert means["0.001"] < 0 < means["-0.001"]


def test_funding_of_what_is_no_perpetual_of_the_venue_is_refused(tmp_path):
    spec = market_spec(venues=[funded("0.001")])
    spec["venues"][0]["funding"][0]["instrument_id"] = "SIM.SIM"
    with pytest.raises(SpecError, match=r"there is no funding of 'SIM\.SIM'"):
        run_backtest(parse_spec(spec), root=tmp_path)
