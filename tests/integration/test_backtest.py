"""Runs from spec to stored result: what they store, that they repeat, and how they fail."""

from decimal import Decimal
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from tests.books.orders import OneOfEach, RefusingGate
from tests.specs import book_spec, market_spec
from ufos_nautilus.engine import GateRequest, RunResult, parse_spec, run_backtest
from ufos_nautilus.engine import backtest as backtest_module
from ufos_nautilus.errors import RunFailedError, SpecError
from ufos_nautilus.run_schemas import SCHEMAS


@pytest.fixture(autouse=True, scope="module")
def _generated(tmp_path_factory: pytest.TempPathFactory) -> Any:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("UFOS_GENERATED", str(tmp_path_factory.mktemp("generated")))
        yield


def run(spec: dict[str, Any], root: Path) -> RunResult:
    return run_backtest(parse_spec(spec), root=root)


def test_a_run_stores_every_table_with_its_columns(tmp_path: Path) -> None:
    result = run(market_spec(), tmp_path)
    assert result["status"] == "completed"
    assert result["fills"] > 0
    for name, columns in SCHEMAS.items():
        table = result.table(name)
        assert dict(table.schema) == columns, name
    assert result.orders.height == result["orders"]
    assert result.fills.height == result["fills"]
    assert (result.directory / "spec.json").exists()
    assert not list(tmp_path.glob(".*")), "scratch directories are gone"


def test_the_net_pnl_agrees_with_the_engines_equity_up_to_half_the_spread(tmp_path: Path) -> None:
    """The ledger values positions at mid, the engine at the side they would be closed at."""
    result = run(market_spec(), tmp_path)
    equity = result.equity.filter(pl.col("currency") == "USDT")["equity"][-1]
    held = result.inventory.tail(1).row(0, named=True)
    half_spread = (held["ask"] - held["bid"]) / 2
    assert Decimal(result["net_pnl"]["USDT"]) - (equity - 100_000) == abs(held["quantity"]) * half_spread
    assert result["ledger"]["balanced"]
    assert result["ledger"]["reconciled"]


def test_inventory_never_exceeds_its_bound(tmp_path: Path) -> None:
    result = run(market_spec(), tmp_path)
    sign = pl.when(pl.col("side") == "BUY").then(pl.col("quantity")).otherwise(-pl.col("quantity"))
    held = result.fills.select(sign.cast(pl.Decimal(38, 2)).cum_sum().alias("q"))["q"]
    assert held.abs().max() <= Decimal(3)
    assert held.abs().max() == Decimal(result["max_inventory"]["SIM-PERP.SIM"])


def test_the_same_spec_gives_the_same_id_digest_and_tables(tmp_path: Path) -> None:
    one = run(market_spec(), tmp_path / "one")
    two = run(market_spec(), tmp_path / "two")
    assert (one.run_id, one.digest) == (two.run_id, two.digest)
    for name in SCHEMAS:
        assert one.table(name).equals(two.table(name)), name


def test_chunk_size_changes_nothing(tmp_path: Path) -> None:
    one = run(market_spec(chunk_rows=100), tmp_path)
    two = run(market_spec(chunk_rows=1_000_000), tmp_path)
    assert one.digest == two.digest


def test_another_market_seed_gives_another_run(tmp_path: Path) -> None:
    spec = market_spec()
    spec["data"][0]["synthetic"]["seed"] = 6
    assert run(spec, tmp_path).digest != run(market_spec(), tmp_path).digest


def test_the_run_seed_changes_only_what_is_random(tmp_path: Path) -> None:
    """With certain fills nothing of the engine is random; with fills at 50 percent the seed decides them."""
    assert run(market_spec(seed=1), tmp_path).digest == run(market_spec(seed=2), tmp_path).digest
    venue = market_spec()["venues"][0] | {"fill": {"prob_fill_on_limit": 0.5}}
    random_fills = [run(market_spec(seed=s, venues=[venue]), tmp_path).digest for s in (1, 1, 2)]
    assert random_fills[0] == random_fills[1] != random_fills[2]


@pytest.mark.parametrize("where", ["quote", "timer", "topic", "start"])
def test_a_book_that_raises_fails_the_run_with_its_exception(tmp_path: Path, where: str) -> None:
    with pytest.raises(RunFailedError, match=r"BOOK-1 raised ZeroDivisionError: raised on purpose") as caught:
        run(book_spec("tests.books.failing:FailingBook", where=where), tmp_path)
    assert isinstance(caught.value.__cause__, ZeroDivisionError)
    assert not list(tmp_path.iterdir()), "nothing of a failed run is stored"


def test_an_engine_that_stops_early_fails_the_run(tmp_path: Path) -> None:
    spec = book_spec("tests.books.purging:PurgingBook")
    spec["venues"][0]["latency"] = {"insert_ms": 150.0, "cancel_ms": 600.0}
    with pytest.raises(RunFailedError, match="the engine stopped after"):
        run(spec, tmp_path)
    assert not list(tmp_path.iterdir())


def test_an_unknown_instrument_names_the_nearest(tmp_path: Path) -> None:
    spec = market_spec()
    spec["data"][0]["instruments"] = ["SIM-PERP.SYM"]
    with pytest.raises(SpecError, match=r"no instrument 'SIM-PERP.SYM'") as caught:
        run(spec, tmp_path)
    assert "SIM-PERP.SIM" in str(caught.value)
    spec = market_spec()
    spec["books"][0]["params"]["instrument_id"] = "SIM-PREP.SIM"
    with pytest.raises(SpecError, match=r"SIM-PERP\.SIM"):
        run(spec, tmp_path)


def test_an_unknown_book_parameter_names_the_nearest(tmp_path: Path) -> None:
    spec = market_spec()
    spec["books"][0]["params"]["gama"] = 1.0
    with pytest.raises(SpecError, match="did you mean 'gamma'"):
        run(spec, tmp_path)


def test_a_venue_without_entry_is_refused(tmp_path: Path) -> None:
    venue = market_spec()["venues"][0] | {"name": "ELSEWHERE"}
    with pytest.raises(SpecError, match=r"no \[\[venues\]\] entry for SIM"):
        run(market_spec(venues=[venue]), tmp_path)


def run_with_gate(gate: RefusingGate, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[RunResult, OneOfEach]:
    made: list[OneOfEach] = []
    assemble = backtest_module.assemble

    def with_gate(*args: Any) -> Any:
        parts = assemble(*args, gate=gate)
        made.extend(b for b in parts.books if isinstance(b, OneOfEach))
        return parts

    monkeypatch.setattr(backtest_module, "assemble", with_gate)
    result = run(book_spec("tests.books.orders:OneOfEach"), tmp_path)
    return result, made[0]


def test_every_order_command_passes_the_gate(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    gate = RefusingGate()
    result, book = run_with_gate(gate, tmp_path, monkeypatch)
    assert [r.action for r in gate.seen] == ["submit"] * 4 + ["modify", "submit"]
    assert result["orders"] == 5
    assert "OrderUpdated" in book.events
    assert result.positions["quantity"].len() == 1


def test_a_refused_order_never_reaches_the_engine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    result, book = run_with_gate(RefusingGate("submit"), tmp_path, monkeypatch)
    assert result["orders"] == 0
    assert book.events == []
    assert result["denied"] == len(book.denials) == result.table("denials").height == 4
    assert set(result.table("denials")["reason"]) == {"refused on purpose"}


def test_a_list_with_one_refused_order_is_not_sent_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class PickyGate(RefusingGate):
        def review(self, request: GateRequest) -> str | None:
            price = getattr(request.order, "price", None)
            return "refused on purpose" if str(price) == "88.00" else None

    result, book = run_with_gate(PickyGate(), tmp_path, monkeypatch)
    assert [d.reason for d in book.denials] == ["refused on purpose"]
    prices = {str(p) for p in result.orders["price"].to_list()}
    assert not {p for p in prices if p.startswith(("88", "89"))}
    assert any(p.startswith("91") for p in prices), "orders outside the list are not concerned"


def test_a_refused_modification_leaves_the_order_as_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    result, book = run_with_gate(RefusingGate("modify"), tmp_path, monkeypatch)
    assert "OrderUpdated" not in book.events
    assert Decimal("90") in result.orders["price"].to_list()
    assert Decimal("91") not in result.orders["price"].to_list()


def test_the_full_event_log_is_kept_when_asked_for(tmp_path: Path) -> None:
    result = run(market_spec(recording={"events": True}), tmp_path)
    filled = list((result.directory / "events").rglob("order_filled/**/*.parquet"))
    assert sum(pl.read_parquet(f).height for f in filled) == result["fills"]
