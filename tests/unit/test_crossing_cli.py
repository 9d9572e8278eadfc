"""`ufos crosses`: verify, show and the worked example, with exit codes."""

import json
from decimal import Decimal
from pathlib import Path

import polars as pl
import pytest

from ufos_nautilus import cli
from ufos_nautilus.crossing.best_execution import BestExecutionLog
from ufos_nautilus.crossing.example import ASK, BID, START_NS, worked_example


@pytest.fixture
def ufos(monkeypatch, capsys):
    monkeypatch.setitem(cli.CHAPTERS, "House", {"crosses": ("crosses", "Verify and show crosses.")})
    monkeypatch.setenv("COLUMNS", "200")

    def run(*args: object) -> tuple[int, str, str]:
        code = cli.run("crosses", [str(a) for a in args])
        return code, *capsys.readouterr()

    return run


@pytest.fixture
def run_folder(tmp_path) -> Path:
    folder = tmp_path / "runs" / "demo-1"
    folder.mkdir(parents=True)
    with BestExecutionLog(folder / "crosses.jsonl", run_id="demo-1") as log:
        log.append(worked_example().cross)
        seal = log.seal()
    kept = {"crosses": {"count": seal.records, "head": seal.head, "quantity": "500"}}
    (folder / "result.json").write_text(json.dumps(kept), "utf-8")
    return folder


def test_the_worked_example_prints_its_figures(ufos):
    code, out, _ = ufos("example")
    assert code == 0
    for line in (
        "market    190.13 / 190.15 from XNAS",
        "C-1: WM-ALICE sells 1000 AAPL",
        "S-1: AM-CORE buys 500 AAPL",
        "X-AAPL-1: 500 at 190.14",
        "WM-ALICE: 5.00 USD (0.526 bps) against the bid 190.13",
        "AM-CORE: 5.00 USD (0.5259 bps) against the offer 190.15",
        "500 of C-1 to the desk at 190.13",
        "balanced: WM-ALICE -1000, AM-CORE 500, IB-DESK 500",
    ):
        assert line in out
    code, out, _ = ufos("example", "--desk-price", "190.12", "--json")
    assert (code, json.loads(out)["residual"]["market"]) == (0, "500")
    assert "to the market by TWAP: worse" in ufos("example", "--desk-price", "190.12")[1]
    assert "no quote" in ufos("example", "--desk-price", "none")[1]
    assert ufos("example", "--desk-price", "cheap")[0] == 2


def test_a_run_verifies_by_folder_file_and_id(ufos, run_folder, monkeypatch):
    monkeypatch.setenv("UFOS_RUNS", str(run_folder.parent))
    for source in (run_folder, run_folder / "crosses.jsonl", "demo-1", "last"):
        code, out, _ = ufos("verify", source, "--json")
        found = json.loads(out)
        assert (code, found["crosses"], found["sealed"], found["run_id"]) == (0, 1, True, "demo-1")
    assert "1 crosses, chain whole, sealed" in ufos("verify", run_folder)[1].replace("\n", "")


def test_tampering_is_found_with_exit_code_three(ufos, run_folder):
    path = run_folder / "crosses.jsonl"
    whole = path.read_bytes()
    for changed in (whole.replace(b"190.14", b"190.13"), b"".join(whole.splitlines(keepends=True)[:-1]), whole[:-1]):
        path.write_bytes(changed)
        code, out, err = ufos("verify", run_folder, "--json")
        assert (code, json.loads(out)["error"]) == (3, "IntegrityError")
        assert "expected:" in err
        assert ufos("show", run_folder)[0] == 3
    path.write_bytes(whole)
    assert ufos("verify", run_folder)[0] == 0


def test_a_record_rewritten_as_a_whole_is_found_through_the_runs_result(ufos, run_folder):
    path = run_folder / "crosses.jsonl"
    path.unlink()
    with BestExecutionLog(path, run_id="demo-1") as log:
        log.seal()
    assert ufos("verify", run_folder)[0] == 3


def test_a_record_that_is_gone_is_found_through_the_runs_result(ufos, run_folder):
    (run_folder / "crosses.jsonl").unlink()
    assert ufos("verify", run_folder)[0] == 3


def test_a_crashed_run_is_accepted_only_as_such(ufos, run_folder):
    path = run_folder / "crosses.jsonl"
    (run_folder / "result.json").unlink()
    path.write_bytes(b"".join(path.read_bytes().splitlines(keepends=True)[:-1]))
    assert ufos("verify", run_folder)[0] == 3
    assert ufos("verify", run_folder, "--unsealed")[0] == 0
    assert ufos("show", run_folder, "--unsealed", "--json")[0] == 0


def test_prices_are_checked_against_a_catalog(ufos, run_folder, tmp_path):
    folder = tmp_path / "catalog" / "data" / "quotes" / "AAPL.XNAS"
    folder.mkdir(parents=True)
    quote = pl.DataFrame(
        {
            "bid_price": [BID],
            "ask_price": [ASK],
            "bid_size": [Decimal(300)],
            "ask_size": [Decimal(400)],
            "ts_init": pl.Series([START_NS]).cast(pl.Datetime("ns", "UTC")),
        }
    )
    quote.write_parquet(folder / "a.parquet")
    code, out, _ = ufos("verify", run_folder, "--catalog", tmp_path / "catalog", "--json")
    assert (code, json.loads(out)["market"]) == (0, {"symbols": 1, "venues": 1, "quotes": 1})
    quote.with_columns(bid_price=pl.lit(Decimal("190.12"))).write_parquet(folder / "a.parquet")
    assert ufos("verify", run_folder, "--catalog", tmp_path / "catalog")[0] == 3
    assert ufos("verify", run_folder, "--catalog", tmp_path)[0] == 2


def test_show_lists_crosses_and_savings_and_exports(ufos, run_folder, tmp_path):
    code, out, _ = ufos("show", run_folder, "--json", "--parquet", tmp_path / "x.parquet")
    found = json.loads(out)
    assert (code, found["count"], len(found["crosses"])) == (0, 1, 1)
    assert {r["beneficiary"]: r["saved"] for r in found["savings"]} == {
        "AM-CORE": "5.000000000000",
        "WM-ALICE": "5.000000000000",
    }
    assert pl.read_parquet(tmp_path / "x.parquet").height == 1
    table = ufos("show", run_folder, "--by", "strategy_tag,root")[1]
    assert "X-AAPL-1" in table
    assert "190.14" in table
    assert ufos("show", run_folder, "--by", "colour")[0] == 2


def test_what_is_not_there_is_bad_input(ufos, run_folder, tmp_path, monkeypatch):
    monkeypatch.setenv("UFOS_RUNS", str(run_folder.parent))
    assert ufos("verify", "no-such-run")[0] == 2
    assert ufos("verify", tmp_path)[0] == 2
    (run_folder / "result.json").write_text('{"crosses": {"head": 1}}', "utf-8")
    assert ufos("verify", run_folder)[0] == 2
