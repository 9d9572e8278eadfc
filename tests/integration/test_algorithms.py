"""Execution algorithms in the engine: slices add up to their order, whatever becomes of them."""

import random
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from tests.books.worked import ClosingGate, WorkedBook
from ufos_nautilus import limits
from ufos_nautilus.engine import RunResult, parse_spec, run_backtest
from ufos_nautilus.engine import algorithm as algorithm_module
from ufos_nautilus.engine import backtest as backtest_module
from ufos_nautilus.engine.algorithm import Algorithm
from ufos_nautilus.engine.algorithm_setup import load_algorithm_class
from ufos_nautilus.errors import RunFailedError, SpecError

UNIVERSE = {"kind": "universe", "seed": 2, "params": {"duration_s": 60.0, "instruments": 1, "sectors": 1}}


@pytest.fixture(autouse=True, scope="module")
def _generated(tmp_path_factory: pytest.TempPathFactory) -> Any:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("UFOS_GENERATED", str(tmp_path_factory.mktemp("generated")))
        yield


def spec(instruction: dict[str, Any], latency_ms: float = 0.0, **params: Any) -> dict[str, Any]:
    return {
        "name": "worked",
        "data": [{"synthetic": UNIVERSE}],
        "venues": [
            {
                "name": "XSIM",
                "balances": ["5000000 USD"],
                "leverage": 10,
                "queue_position": False,
                "liquidity_consumption": False,
                "latency": {"base_ms": latency_ms},
            }
        ],
        "books": [
            {
                "id": "WM-ALICE",
                "kind": "client",
                "class_path": "tests.books.worked:WorkedBook",
                "params": {"instruction": instruction, **params},
            }
        ],
    }


def run(data: dict[str, Any], root: Path) -> RunResult:
    WorkedBook.made.clear()
    return run_backtest(parse_spec(data), root=root)


def own(result: RunResult) -> pl.DataFrame:
    """The orders of the run, in the order in which they were made, without the engine's prefix."""
    number = pl.col("client_order_id").str.extract(r"-E(\d+)$").cast(pl.Int64).fill_null(10**6)
    return result.orders.with_columns(number.alias("n")).sort("n")


def quantities(result: RunResult) -> list[int]:
    return [int(q) for q in own(result)["filled_quantity"]]


def unworked(result: RunResult) -> Decimal:
    return sum(
        (Decimal(q) for f in result["algorithms"].values() for q in f["unworked"].values()),
        Decimal(0),
    )


VWAP = {"algorithm": "VWAP", "horizon_secs": 30, "interval_secs": 5}
POV = {"algorithm": "POV", "horizon_secs": 40, "participation_rate": 0.3}
TWAP = {"algorithm": "TWAP", "horizon_secs": 30, "interval_secs": 5}


@pytest.mark.parametrize(
    ("instruction", "latency_ms"),
    [(VWAP, 0.0), (VWAP, 80.0), (POV, 0.0), (POV, 80.0), (TWAP, 0.0), ({}, 1.0), ({**VWAP, "profile": "5,0,1"}, 1.0)],
)
def test_slices_add_up_to_the_order(tmp_path: Path, instruction: dict[str, Any], latency_ms: float) -> None:
    result = run(spec(instruction, latency_ms), tmp_path)
    assert sum(quantities(result)) + unworked(result) == 1001
    assert len(quantities(result)) > 1
    assert set(result.orders["tags"]) == {"ticket:WM-ALICE-0"}
    assert result.orders.filter(pl.col("status") == "INITIALIZED").is_empty()
    assert result["ledger"]["reconciled"]
    ticket = result.table("tickets").row(0, named=True)
    assert (ticket["market"], ticket["unfilled"]) == (sum(quantities(result)), unworked(result))


@pytest.mark.parametrize("seed", range(16))
def test_nothing_is_lost_whatever_happens(tmp_path: Path, seed: int) -> None:
    """Random instructions, limits, expiries, cancels and latencies, on a venue whose volume can run out."""
    rng = random.Random(seed)
    instruction = {
        "algorithm": rng.choice(("VWAP", "POV", "TWAP")),
        "horizon_secs": rng.choice((3, 17, 40, 500)),
        "interval_secs": rng.choice((0.25, 1, 3)),
        "participation_rate": rng.choice((0.02, 0.3, 0.9)),
    }
    params: dict[str, Any] = {"tickets": [(5, rng.choice(("BUY", "SELL")), str(rng.randint(1, 3_000)))]}
    if rng.random() < 0.4:
        params["limit"] = rng.choice(("22.97", "22.995", "23.02"))
    if rng.random() < 0.3:
        params["expiry_s"] = rng.choice((5.0, 30.0))
    if rng.random() < 0.4:
        params["cancel_after_s"] = rng.choice((0.1, 7.3, 25.0))
    data = spec(instruction, rng.choice((0.0, 1.0, 300.0, 2_000.0)), **params)
    data["venues"][0]["liquidity_consumption"] = rng.random() < 0.7
    result = run(data, tmp_path)
    ordered = int(params["tickets"][0][2])
    filled = sum(quantities(result))
    ticket = result.table("tickets").row(0, named=True)
    assert (ticket["market"], ticket["unfilled"]) == (filled, ordered - filled)
    assert filled <= ordered
    assert result["ledger"]["reconciled"]
    assert result.orders.filter(pl.col("status") == "INITIALIZED").is_empty()
    working = result.orders.filter(pl.col("status").is_in(["ACCEPTED", "SUBMITTED", "PARTIALLY_FILLED"]))
    at_venue = int((working["quantity"] - working["filled_quantity"]).sum() or 0)
    if instruction["algorithm"] != "TWAP" or "limit" in params or "expiry_s" in params:
        assert filled + at_venue + unworked(result) == ordered


def test_vwap_follows_its_profile(tmp_path: Path) -> None:
    result = run(spec({**VWAP, "profile": "5,0,1,4"}), tmp_path)
    assert quantities(result) == [501, 100, 400]
    times = own(result)["ts_last"].to_list()
    assert [round((t - times[0]).total_seconds(), 3) for t in times] == [0.0, 15.0, 22.5]


def test_vwap_without_earlier_days_sends_equal_slices(tmp_path: Path) -> None:
    assert quantities(run(spec(VWAP), tmp_path)) == [167, 167, 167, 167, 167, 166]


def test_pov_never_exceeds_its_share_before_the_horizon_ends(tmp_path: Path) -> None:
    result = run(spec({"algorithm": "POV", "participation_rate": "0.2", "interval_secs": 2}), tmp_path)
    catalog = next(Path(t.catalog) for t in _tables() if t.kind == "trades")
    trades = pl.concat(pl.read_parquet(f) for f in sorted(catalog.glob("data/trades/AAAA.XSIM/*.parquet")))
    arrival = result.table("tickets")["ts"][0]
    others = trades.filter(pl.col("ts_init") > arrival).select(pl.col("ts_init").alias("ts"), pl.col("size"))
    ours = Decimal(0)
    for fill in result.fills.iter_rows(named=True):
        ours += fill["quantity"]
        market = others.filter(pl.col("ts") <= fill["ts"])["size"].sum()
        assert Fraction(ours) <= Fraction(1, 5) * (Fraction(ours) + Fraction(market)), fill["ts"]
    assert result.fills.height > 3


def _tables() -> Any:
    from ufos_nautilus.engine.sources import resolve_sources

    return resolve_sources(parse_spec(spec(VWAP)).data).tables


@pytest.mark.parametrize("instruction", [VWAP, TWAP, {**POV, "participation_rate": 0.05}])
def test_a_cancelled_order_keeps_what_it_has_and_sends_no_more(tmp_path: Path, instruction: dict[str, Any]) -> None:
    result = run(spec(instruction, cancel_after_s=12.0), tmp_path)
    parent = own(result).row(-1, named=True)
    assert parent["status"] == "CANCELED"
    assert sum(quantities(result)) + parent["quantity"] == 1001
    assert 0 < sum(quantities(result)) < 1001
    assert result.table("tickets")["unfilled"].to_list() == [parent["quantity"]]
    if instruction["algorithm"] != "TWAP":
        assert unworked(result) == parent["quantity"]


@pytest.mark.parametrize("instruction", [VWAP, TWAP, POV])
def test_what_the_end_of_the_data_leaves_is_cancelled_and_counted(tmp_path: Path, instruction: dict[str, Any]) -> None:
    slow = {"horizon_secs": 1_000, "interval_secs": 20, "participation_rate": 0.02}
    result = run(spec({**instruction, **slow}), tmp_path)
    parent = own(result).row(-1, named=True)
    assert parent["status"] == "CANCELED"
    assert unworked(result) == parent["quantity"] > 0
    assert sum(quantities(result)) + unworked(result) == 1001
    assert result["ledger"]["reconciled"]


def test_the_rest_may_be_dropped_at_the_end_of_the_horizon(tmp_path: Path) -> None:
    result = run(spec({**POV, "horizon_secs": 10, "at_end": "cancel"}), tmp_path)
    assert unworked(result) == 1001 - sum(quantities(result)) > 0
    sent = run(spec({**POV, "horizon_secs": 10}), tmp_path / "sent")
    assert sum(quantities(sent)) == 1001


@pytest.mark.parametrize(
    ("instruction", "reason"),
    [
        ({**VWAP, "horizon_secs": "soon"}, "VWAP: horizon_secs is 'soon'"),
        ({**VWAP, "interval_secs": -1}, "VWAP: interval_secs is '-1'"),
        ({**VWAP, "interval_secs": 31}, "VWAP: interval_secs is longer than the 30 s there are"),
        ({**VWAP, "profile": "1,x"}, "VWAP: profile is '1,x'"),
        ({**VWAP, "at_end": "hope"}, "VWAP: at_end is 'hope'"),
        ({**VWAP, "interval_secs": "0.001"}, "VWAP: a schedule of 30000 slices"),
        ({"algorithm": "POV"}, "POV: participation_rate is None"),
        ({"algorithm": "POV", "participation_rate": 1}, "POV: participation_rate is 1"),
    ],
)
def test_an_instruction_that_makes_no_sense_is_denied(tmp_path: Path, instruction: dict[str, Any], reason: str) -> None:
    result = run(spec(instruction), tmp_path)
    assert result["denied"] == 1
    (denial,) = [e for e in WorkedBook.made[0].events if e[0] == "OrderDenied"]
    assert denial[2] == reason
    assert result.fills.is_empty()


def test_pov_is_denied_where_nobody_knows_the_volume(tmp_path: Path) -> None:
    data = spec(POV)
    data["data"][0]["tables"] = ["quotes"]
    result = run(data, tmp_path)
    (denial,) = [e for e in WorkedBook.made[0].events if e[0] == "OrderDenied"]
    assert denial[2] == "POV: the run has no traded volume of AAAA.XSIM"
    data["books"][0]["params"]["instruction"] = VWAP
    assert quantities(run(data, tmp_path)) == [167, 167, 167, 167, 167, 166], "a flat profile needs no volume"
    assert result["ledger"]["reconciled"]


@pytest.mark.parametrize("algorithm", ["VWAP", "TWAP", "POV"])
def test_no_slice_trades_beyond_the_limit(tmp_path: Path, algorithm: str) -> None:
    """The limit lies between two ticks; a seller's is the tick above. TWAP knows no limits, so VWAP works it."""
    instruction = {"algorithm": algorithm, "horizon_secs": 30, "interval_secs": 5, "participation_rate": 0.3}
    result = run(spec(instruction, limit="22.985"), tmp_path)
    assert result.fills["price"].min() == Decimal("22.99")
    assert set(result.orders["order_type"]) == {"LIMIT"}
    assert sum(quantities(result)) <= 1001
    assert result.table("tickets")["unfilled"][0] == 1001 - sum(quantities(result))
    assert result["algorithms"].keys() == {"POV" if algorithm == "POV" else "VWAP"}
    assert result["ledger"]["reconciled"]


def test_what_a_limit_leaves_unfilled_goes_back_and_is_due_again(tmp_path: Path) -> None:
    result = run(spec(VWAP, limit="23.01", tickets=[(5, "SELL", "1001")]), tmp_path)
    orders = own(result)
    assert orders["status"].to_list()[:-1] == ["CANCELED"] * (orders.height - 1)
    assert orders["quantity"].to_list()[-1] == 1001, "all slices came back unfilled, so the last one is all of it"


def test_an_order_ends_with_its_ticket(tmp_path: Path) -> None:
    result = run(spec(VWAP, limit="23.01", expiry_s=20.0), tmp_path)
    parent = own(result).row(-1, named=True)
    assert parent["status"] == "EXPIRED"
    assert (parent["ts_last"] - result.table("tickets")["ts"][0]).total_seconds() < 21
    assert unworked(result) == 1001 - sum(quantities(result))


def test_a_market_ticket_with_a_limit_rests_at_it(tmp_path: Path) -> None:
    result = run(spec({"algorithm": "MARKET"}, limit="23.00", expiry_s=20.0), tmp_path)
    assert result.orders.row(0, named=True)["order_type"] == "LIMIT"
    assert result.fills["price"].unique().to_list() == [Decimal("23")]


def test_on_a_venue_with_depth_what_finds_no_volume_comes_back(tmp_path: Path) -> None:
    data = spec({**VWAP, "horizon_secs": 60}, 1.0, instrument_id="SIM-PERP.SIM", tickets=[(5, "SELL", "2000")])
    data["data"] = [{"synthetic": {"kind": "single", "seed": 1, "params": {"duration_s": 90.0}}}]
    venue = {"name": "SIM", "balances": ["9000000 USDT"], "leverage": 100, "book": "L2", "queue_position": False}
    data["venues"] = [venue]
    result = run(data, tmp_path)
    orders = own(result)
    assert set(orders["status"]) == {"CANCELED"}
    assert orders["filled_quantity"].min() > 0
    filled = orders["filled_quantity"].sum()
    assert filled + unworked(result) == 2000
    later = orders["quantity"].to_list()
    assert later == sorted(later), "each slice makes up for what the ones before it left"
    assert result["ledger"]["reconciled"]


def test_closing_the_gate_stops_an_order_that_it_let_through(tmp_path: Path, monkeypatch: Any) -> None:
    assemble, gate = backtest_module.assemble, ClosingGate(2)

    def changed(*args: Any) -> Any:
        parts = assemble(*args)
        for each in (*parts.books, *parts.algorithms):
            each.gate = gate
        return parts

    monkeypatch.setattr(backtest_module, "assemble", changed)
    result = run(spec(VWAP), tmp_path)
    assert gate.seen == ["submit", "slice", "slice", "slice"]
    assert quantities(result) == [167, 167, 0]
    assert unworked(result) == 1001 - 2 * 167
    assert own(result)["status"].to_list()[-1] == "CANCELED"
    assert result.table("denials").row(0, named=True)["action"] == "slice"
    gate.left = 0
    gate.seen.clear()
    denied = run(spec(VWAP), tmp_path / "denied")
    assert gate.seen == ["submit", "slice"]
    assert denied.orders["status"].to_list() == ["DENIED"]
    assert denied.table("tickets")["unfilled"].to_list() == [1001]


def test_an_error_in_an_algorithm_fails_the_run(tmp_path: Path) -> None:
    data = spec(VWAP) | {"algorithms": ["tests.books.worked:Failing"]}
    with pytest.raises(RunFailedError, match="Failing raised ZeroDivisionError: on purpose"):
        run(data, tmp_path)
    assert not list(tmp_path.iterdir())


def test_an_algorithm_the_run_does_not_have_fails_it(tmp_path: Path) -> None:
    with pytest.raises(RunFailedError, match="asks for POV, which this run does not have"):
        run(spec(POV) | {"algorithms": []}, tmp_path)


@pytest.mark.parametrize(
    ("paths", "message"),
    [
        (["ufos_strategies.algorithms.pov:Pow"], "can't be imported"),
        (["tests.books.worked:WorkedBook"], "is no algorithm"),
        (["tests.books.worked:Nameless"], "is no algorithm"),
        (["ufos_strategies.algorithms.vwap:Vwap", "tests.books.worked:Failing"], "two algorithms are named VWAP"),
    ],
)
def test_what_is_no_algorithm_is_refused(tmp_path: Path, paths: list[str], message: str) -> None:
    with pytest.raises(SpecError, match=message):
        run(spec(VWAP) | {"algorithms": paths}, tmp_path)


def test_an_algorithm_cannot_replace_what_the_base_promises() -> None:
    with pytest.raises(TypeError, match="replaces submit_order"):
        type("Bad", (Algorithm,), {"name": "BAD", "submit_order": lambda self: None})


def test_the_number_of_orders_at_a_time_is_limited(tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.setattr(algorithm_module, "ALGORITHM_PARENTS_MAX", 1)
    assert limits.ALGORITHM_PARENTS_MAX > 1
    result = run(spec(VWAP, tickets=[(5, "SELL", "1001"), (6, "BUY", "500")]), tmp_path)
    assert result["denied"] == 1
    assert [e[2] for e in WorkedBook.made[0].events if e[0] == "OrderDenied"] == ["VWAP: 1 orders are being worked"]


def test_a_run_has_no_more_algorithms_than_the_limit() -> None:
    many = ["ufos_strategies.algorithms.vwap:Vwap"] * (limits.ALGORITHMS_MAX + 1)
    with pytest.raises(SpecError, match="algorithms"):
        parse_spec(spec(VWAP) | {"algorithms": many})


def test_the_same_spec_gives_the_same_slices(tmp_path: Path) -> None:
    assert run(spec(POV), tmp_path / "1").digest == run(spec(POV), tmp_path / "2").digest


def test_the_default_algorithms_can_be_loaded() -> None:
    assert [load_algorithm_class(p).name for p in parse_spec(spec(VWAP)).algorithms] == ["POV", "VWAP"]
