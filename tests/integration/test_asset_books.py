"""Strategies and clients on generated daily bars: golden runs, capital, restrictions, flows, and what an owner sees."""

import itertools
import json
from collections.abc import Iterator
from decimal import Decimal as D
from pathlib import Path

import polars as pl
import pytest
from typer.testing import CliRunner

from ufos_nautilus.cli.client import app
from ufos_nautilus.engine import RunResult, load_spec, parse_spec, run_backtest
from ufos_nautilus.engine.golden import check_golden
from ufos_nautilus.errors import BadInputError, RunFailedError
from ufos_nautilus.report import write_report
from ufos_nautilus.report.client_page import write_client_report
from ufos_nautilus.report.clients import holdings, performances
from ufos_nautilus.report.tables import RunTables

ROOT = Path(__file__).resolve().parents[2]
SPECS = ROOT / "strategies" / "specs"
NAMES = [
    "am_momentum_time_series", "am_momentum_cross_section", "am_mean_reversion", "am_pairs", "am_rules", "wm_clients",
    "wm_block",
]  # fmt: skip


@pytest.fixture(scope="module", autouse=True)
def generated(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("UFOS_GENERATED", str(tmp_path_factory.mktemp("generated")))
        patch.delenv("UFOS_LEDGER_URL", raising=False)
        yield


@pytest.fixture(scope="module")
def clients(tmp_path_factory: pytest.TempPathFactory) -> RunResult:
    return run_backtest(load_spec(SPECS / "wm_clients.toml"), root=tmp_path_factory.mktemp("runs"))


@pytest.mark.parametrize("name", NAMES)
def test_a_documented_spec_gives_its_golden_run(name: str) -> None:
    golden = ROOT / "tests" / "golden" / f"{name}.toml"
    assert golden.read_bytes() == (SPECS / f"{name}.toml").read_bytes()
    assert check_golden(golden).differences == []
    assert int(json.loads(golden.with_suffix(".json").read_text("utf-8"))["fills"]) > 100


@pytest.mark.parametrize("name", [n for n in NAMES if n.startswith("am_")])
def test_a_strategy_stays_within_its_share_of_the_house(name: str, tmp_path: Path) -> None:
    spec = load_spec(SPECS / f"{name}.toml", ["books.0.allocation_pct=10"])
    run = run_backtest(spec, root=tmp_path)
    book = spec.books[0].id
    capital = D(run.summary["ledger"]["books"][book]["capital"]["USD"])
    assert capital == D(2_000_000)
    navs = RunTables.load(run.directory).navs.filter(pl.col("book") == book)
    gross = navs.filter(pl.col("gross") > 0).select((pl.col("gross") / pl.col("nav")).cast(pl.Float64).alias("x"))["x"]
    # Positions are sized to the capital; between two decisions the market moves them.
    assert len(gross) > 50
    assert gross.max() < 1.4  # pyright: ignore[reportOptionalOperand, reportOperatorIssue]


def test_rules_act_on_bars_made_from_quotes_without_a_panel(tmp_path: Path) -> None:
    """Any market will do: here the minutes of a generated one, in the book's own clock."""
    strategy = {
        "name": "reversion",
        "bars": "5-SECOND-MID-INTERNAL",
        "long": {"enter": ["zscore(20) < -1.5"], "exit": ["zscore(20) > 0"]},
        "short": {"enter": ["zscore(20) > 1.5"], "exit": ["zscore(20) < 0"]},
        "sizing": {"kind": "units", "units": 3, "max_positions": 1},
        "exits": {"max_bars": 24},
    }
    data = {"synthetic": {"kind": "single", "seed": 1, "params": {"duration_s": 1200.0}}}
    spec = {
        "name": "rules-on-quotes",
        "data": [data],
        "venues": [{"name": "SIM", "balances": ["1_000_000 USDT"], "leverage": 10, "book": "L2"}],
        "books": [
            {
                "id": "AM-RULES",
                "class_path": "ufos_strategies.rules:RuleStrategy",
                "capital": ["100_000 USDT"],
                "params": {"strategy": strategy, "currency": "USDT"},
            }
        ],
    }
    run = run_backtest(parse_spec(spec), root=tmp_path)
    figures = run.summary["desks"]["AM-RULES"]
    assert figures["opened"] > 3
    assert figures["opened"] - figures["closed"] in (0, 1)
    fills = RunTables.load(run.directory).fills
    held, most = D(0), D(0)
    for side, quantity in fills.select("side", "quantity").iter_rows():
        held += quantity if side == "BUY" else -quantity
        most = max(most, abs(held))
    assert most == 3
    strategy["bars"] = "5-SECOND-MID-EXTERNAL"
    with pytest.raises((RunFailedError, BadInputError), match="never had a bar"):
        run_backtest(parse_spec(spec), root=tmp_path)


def test_restricted_names_are_never_traded_and_owners_money_moves(clients: RunResult) -> None:
    tables = RunTables.load(clients.directory)
    runner = CliRunner()
    shown = runner.invoke(app, ["restrictions", str(clients.directory), "WM-ADA", "--json"])
    excluded = set(json.loads(shown.output)["names"])
    assert excluded
    root = pl.col("instrument_id").str.replace(r"\.[A-Z]+$", "")
    by_book = {b: set(s) for b, s in tables.fills.group_by("book").agg(root.alias("s")).iter_rows()}
    assert not by_book["WM-ADA"] & excluded
    assert excluded <= by_book["WM-HOLD"]
    moved = tables.navs.filter((pl.col("book") == "WM-ADA") & (pl.col("flow") != 0))["flow"].to_list()
    assert moved == [D(100_000), D(-150_000)]
    assert clients.summary["treasury"]["splits"] > 0
    assert (clients.summary["ledger"]["balanced"], clients.summary["ledger"]["reconciled"]) == (True, True)


def test_contributions_add_up_to_the_profit_of_the_ledger(clients: RunResult) -> None:
    tables = RunTables.load(clients.directory)
    for book in ("WM-HOLD", "WM-ADA", "WM-BEN", "AM-REVERT"):
        found = holdings(tables, book)
        profit = D(clients.summary["ledger"]["books"][book]["pnl"]["USD"]["total"])
        assert sum((h.added for h in found), D(0)) == profit
        assert sum((h.dividends for h in found), D(0)) != 0


def test_buying_and_holding_gives_prices_and_dividends(clients: RunResult) -> None:
    """Value over time is units at market plus cash; the split changes nothing."""
    tables = RunTables.load(clients.directory)
    figures = performances(tables)
    own = figures["WM-HOLD"]
    level = float(own.start)
    for r in own.returns:
        level *= 1 + r
    assert level == pytest.approx(float(own.end), rel=1e-12)
    assert own.turnover < 1
    jumps = [abs(b - a) for a, b in itertools.pairwise(own.returns)]
    assert max(jumps) < 0.1, "a two-for-one split is no loss"
    against = figures["WM-ADA"].against
    assert against is not None
    assert 0.5 < against.beta < 1.5
    assert own.statistics["sharpe"] is not None


def test_a_client_has_a_page_and_the_report_a_chapter(clients: RunResult, tmp_path: Path) -> None:
    page = write_client_report(clients.directory, "WM-ADA", tmp_path / "ada.html", standalone=True).read_text("utf-8")
    for text in (
        "Ada (WM-ADA)",
        "Time-weighted return",
        "Against WM-HOLD",
        "Held at the end",
        "sub industries",
        "Tobacco",
    ):
        assert text in page
    report = write_report(clients.directory, tmp_path / "report.html", standalone=True).read_text("utf-8")
    for text in ("Clients and strategies", "made from bars", "Clients: returns and risk", "names no factor files"):
        assert text in report
    with pytest.raises(BadInputError, match="no client or strategy"):
        write_client_report(clients.directory, "IB-DESK")
    listed = json.loads(CliRunner().invoke(app, ["list", str(clients.directory), "--json"]).output)
    assert {row["book"] for row in listed["books"]} == {"WM-HOLD", "WM-ADA", "WM-BEN", "AM-REVERT"}


def test_a_block_is_passed_back_to_the_unit_at_the_prices_of_its_fills(tmp_path: Path) -> None:
    run = run_backtest(load_spec(SPECS / "wm_block.toml"), root=tmp_path)
    figures = run.summary["desks"]["AM-BLOCK"]
    assert figures["orders_in_blocks"] > figures["blocks"] > 50
    assert figures["kept"] == 0
    assert (run.summary["ledger"]["balanced"], run.summary["ledger"]["reconciled"]) == (True, True)
    tables = RunTables.load(run.directory)
    root = pl.col("instrument_id").str.replace(r"\.[A-Z]+$", "").alias("symbol")
    signed = (pl.when(pl.col("side") == "BUY").then(1).otherwise(-1) * pl.col("quantity")).alias("units")
    fills = tables.fills.with_columns(root, signed)
    block = fills.filter(pl.col("book") == "AM-BLOCK")
    assert set(block.group_by("symbol").agg(pl.col("units").sum())["units"]) == {D(0)}
    # What went in at a price came out at it: the book made nothing but the commissions it bore.
    bought = block.group_by("symbol", "price").agg(pl.col("units").sum())
    assert set(bought["units"]) == {D(0)}
    parts = {k: D(v) for k, v in run.summary["ledger"]["books"]["AM-BLOCK"]["pnl"]["USD"].items()}
    assert abs(parts["realised"] + parts["unrealised"] + parts["venue_difference"]) < D(1), parts
    assert parts["fees"] == -sum(block["commission"], D(0))
    clients = fills.filter(pl.col("book").str.starts_with("WM-"))
    assert clients["instrument_id"].str.ends_with(".DARK").all()
    tickets = tables.tickets.filter(pl.col("book").str.starts_with("WM-"))
    assert set(tickets["unfilled"]) == {D(0)}


def test_the_gate_holds_a_strategy_to_a_multiple_of_its_capital(tmp_path: Path) -> None:
    """A strategy that wants all of its capital and may use half of it: the gate denies what goes beyond."""
    levels = 'firm={max_price_age_s=100000.0,max_account_age_s=1000000.0},kinds={strategy={max_leverage="0.5"}}'
    limits = f'limits={{version=1,name="half",currency="USD",watch_interval_s=3600.0,{levels}}}'
    run = run_backtest(load_spec(SPECS / "am_momentum_cross_section.toml", [limits]), root=tmp_path)
    assert run.summary["denied"] > 0
    assert run.summary["fills"] > 0
    tables = RunTables.load(run.directory)
    assert tables.denials["reason"].str.contains("LEVERAGE").any()
    capital = D(run.summary["ledger"]["books"]["AM-XSMOM"]["capital"]["USD"])
    first = tables.navs.filter((pl.col("book") == "AM-XSMOM") & (pl.col("gross") > 0))
    # The market moves what is held; what is added never takes it beyond.
    assert first["gross"].to_list()[0] <= capital / 2
    assert first["gross"].max() < capital * D("0.6")  # pyright: ignore[reportOptionalOperand, reportOperatorIssue]
