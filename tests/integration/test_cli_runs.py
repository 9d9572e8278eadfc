"""The commands of a newcomer, each in a process of its own with an empty home."""

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from tests.conftest import Cli
from ufos_nautilus.engine.runs import read_result, write_result

SPEC = """
name = "small"
[[data]]
synthetic = { kind = "single", seed = 1, params = { duration_s = 20.0 } }
[[venues]]
name = "SIM"
balances = ["100000 USDT"]
leverage = 10
book = "L2"
queue_position = false
[[books]]
id = "MM-SIM"
kind = "desk"
class_path = "ufos_strategies.market_maker:MarketMaker"
params = { instrument_id = "SIM-PERP.SIM", order_size = "1", max_inventory = "3", k_per_tick = 0.2, warmup_s = 2.0 }
"""


@pytest.fixture
def spec(tmp_path: Path) -> Path:
    path = tmp_path / "small.toml"
    path.write_text(SPEC)
    return path


@pytest.mark.slow
def test_the_demo_ends_with_a_table_and_a_report(cli: Cli) -> None:
    done = cli("demo")
    assert done.returncode == 0, done.stderr
    for words in ("net P&L USD", "crossed at the midpoint", "balanced and reconciled", "next:"):
        assert words in re.sub(r"\s+", " ", done.stdout)
    (report,) = (cli.cwd / "runs").glob("demo-*/report.html")
    assert report.stat().st_size > 10_000


@pytest.mark.slow
def test_the_demo_prints_one_object(cli: Cli) -> None:
    done = cli("demo", "--json")
    assert len(done.stdout.strip().splitlines()) == 1
    shown = done.json
    assert {"run_id", "orders", "fills", "net_pnl", "max_inventory", "digest", "elapsed_s", "report"} <= shown.keys()
    assert shown["fills"] > 0
    assert {b["id"] for b in shown["books"]} >= {"WM-ALICE", "WM-BOB", "AM-TREND", "AM-REVERT", "HOUSE-1"}
    assert shown["crosses"].keys() == {"count", "quantity", "saved"}
    assert shown["crosses"]["count"] > 100
    assert shown["ledger"]["balanced"] is shown["ledger"]["reconciled"] is True
    assert Path(cli.cwd / shown["report"]).exists()


def test_a_run_is_listed_shown_compared_and_replayed(cli: Cli, spec: Path) -> None:
    first = cli("backtest", spec, "--json", "--no-report").json
    second = cli("backtest", spec, "--json", "--set", "books.0.params.gamma=0.5", "--no-report").json
    listed = cli("runs", "list", "--json").json["runs"]
    assert [r["run_id"] for r in listed] == [second["run_id"], first["run_id"]]
    assert cli("runs", "show", first["run_id"], "--json").json["digest"] == first["digest"]
    compared = cli("runs", "compare", first["run_id"], second["run_id"], "--json")
    assert compared.returncode == 0, compared.stderr
    replayed = cli("runs", "replay", first["run_id"], "--json")
    assert replayed.returncode == 0, replayed.stderr
    assert replayed.json["same"] is True
    assert "no run 'nothing'" in cli("runs", "show", "nothing").stderr


def test_a_replay_that_differs_fails(cli: Cli, spec: Path) -> None:
    run = cli("backtest", spec, "--json", "--no-report").json
    folder = cli.cwd / "runs" / run["run_id"]
    write_result(folder, read_result(folder) | {"digest": "0" * 64})
    done = cli("runs", "replay", "last")
    assert done.returncode == 1
    assert "and is" in done.stderr


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("nme=x", "unknown key; did you mean 'name'?"),
        ("venues.0.balances=['-1 USDT']", "is negative"),
        ("data.0.instruments=['SIM-PREP.SIM']", "did you mean 'SIM-PERP.SIM'?"),
        ("books.0.class_path=nowhere:Nothing", "can't be imported"),
        ("books.0.params.order_size='0'", "order_size"),
        ("data=[{catalog='absent'}]", "absent"),
    ],
)
def test_bad_input_ends_with_2_and_stores_nothing(cli: Cli, spec: Path, change: str, message: str) -> None:
    done = cli("backtest", spec, "--set", change)
    assert done.returncode == 2
    assert message in done.stderr
    assert "Traceback" not in done.stderr
    assert not list((cli.cwd / "runs").glob("*")) if (cli.cwd / "runs").exists() else True


def test_an_error_is_also_one_object_with_json(cli: Cli, spec: Path) -> None:
    done = cli("backtest", spec, "--set", "seed=-1", "--json")
    assert done.returncode == 2
    assert done.json["error"] == "SpecError"


def test_a_book_that_raises_ends_the_command_with_1(cli: Cli, spec: Path, checkout: Path) -> None:
    folder = cli.cwd / "mine"
    folder.mkdir()
    shutil.copy(checkout / "tests" / "books" / "failing.py", folder / "failing.py")
    books = "books=[{id='BOOK-1', class_path='failing:FailingBook', params={where='quote'}}]"
    done = cli("backtest", spec, "--set", books, env={"PYTHONPATH": str(folder)})
    assert done.returncode == 1
    assert "BOOK-1 raised ZeroDivisionError: raised on purpose" in done.stderr
    assert "failing.py" in done.stderr


def test_a_catalog_of_another_version_is_refused(cli: Cli, spec: Path) -> None:
    cli("backtest", spec, "--no-report")
    (manifest,) = (cli.cwd / "catalogs" / "generated").glob("*/ufos/manifest.json")
    text = manifest.read_text()
    manifest.write_text(re.sub(r'"catalog_version":\s*\d+', '"catalog_version": 999', text))
    done = cli("backtest", spec, "--set", f"data=[{{catalog='{manifest.parents[1]}'}}]")
    assert done.returncode == 2
    assert "999" in done.stderr


def test_the_book_of_the_strategies_page_runs_as_written(cli: Cli, checkout: Path) -> None:
    page = (checkout / "strategies" / "README.md").read_text()
    (code,) = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    (toml,) = re.findall(r"```toml\n(.*?)```", page, re.DOTALL)
    (cli.cwd / "trend.py").write_text(code)
    (cli.cwd / "trend.toml").write_text(toml)
    done = cli("backtest", "trend.toml", "--json", env={"PYTHONPATH": "."})
    assert done.returncode == 0, done.stderr
    assert done.json["fills"] > 0


def test_an_unknown_command_names_the_nearest(cli: Cli) -> None:
    done: Any = cli("backtets")
    assert done.returncode == 2
    assert "did you mean `ufos backtest`?" in done.stderr


def test_schemas_are_printed(cli: Cli) -> None:
    assert '"title": "RunSpec"' in cli("spec", "schema").stdout
    desk = cli("spec", "schema", "ufos_strategies.market_maker:MarketMaker").stdout
    assert "per (tick x order)" in desk


def test_a_result_that_was_edited_or_cut_is_found_and_hides_no_other(cli: Cli, spec: Path) -> None:
    first = cli("backtest", spec, "--json", "--no-report").json["run_id"]
    second = cli("backtest", spec, "--json", "--set", "seed=2", "--no-report").json["run_id"]
    stored = cli.cwd / "runs" / first / "result.json"
    text = stored.read_text()
    for broken in (text.replace('"fills": ', '"fills": 9'), text[:-40], "[]"):
        stored.write_text(broken)
        for words in (("show", first), ("replay", first)):
            assert cli("runs", *words).returncode == 3
        listed = cli("runs", "list", "--json").json
        assert [r["run_id"] for r in listed["runs"]] == [second]
        assert list(listed["broken"]) == [first]
        assert cli("runs", "list").returncode == 0


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ("name=a/b", "name"),
        ("name=..", "name"),
        ('venues.0.balances=["100 FOO"]', "'FOO' is no currency"),
        ('venues.0.balances=["100000 USDT", "5 FOO"]', "'FOO' is no currency"),
    ],
)
def test_names_and_money_that_can_not_be_are_bad_input(cli: Cli, spec: Path, change: str, problem: str) -> None:
    done = cli("backtest", spec, "--set", change, "--json")
    assert done.returncode == 2
    assert problem in done.stderr
    assert not list((cli.cwd / "runs").glob("*small*"))


def test_orders_that_the_engine_denies_say_why(cli: Cli, spec: Path) -> None:
    run = cli("backtest", spec, "--json", "--no-report", "--set", "risk.order_submits_per_s=1").json
    denials = pl.read_parquet(cli.cwd / "runs" / run["run_id"] / "denials.parquet")
    assert run["denied"] == denials.height > 0
    assert set(denials["action"]) == {"engine"}
    assert all("RATE" in reason.upper() for reason in denials["reason"])


def test_an_interrupted_run_ends_with_130_and_leaves_nothing(tmp_path: Path) -> None:
    path = tmp_path / "long.toml"
    path.write_text(SPEC.replace("duration_s = 20.0", "duration_s = 2000.0"))
    process = subprocess.Popen(
        [sys.executable, "-m", "ufos_nautilus.cli", "backtest", str(path)],
        cwd=tmp_path,
        env=os.environ | {"HOME": str(tmp_path)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    until = time.monotonic() + 60
    while not list(tmp_path.glob("runs/.making-*/ledger.sqlite")) and time.monotonic() < until:
        assert process.poll() is None
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    errors = process.communicate(timeout=60)[1]
    assert process.returncode == 130, errors
    assert "interrupted" in errors
    assert not [p for p in (tmp_path / "runs").iterdir() if "long" in p.name or "small" in p.name]


def test_a_table_that_was_changed_since_its_import_is_refused(cli: Cli, spec: Path, tmp_path: Path) -> None:
    made = cli("data", "generate", "single", "--catalog", tmp_path / "c", "--set", "duration_s=20.0", "--json")
    assert made.returncode == 0, made.stderr
    own = f'data.0={{catalog="{tmp_path / "c"}"}}'
    assert cli("backtest", spec, "--set", own, "--json", "--no-report").returncode == 0
    (table,) = (tmp_path / "c").glob("data/trades/*/*.parquet")
    whole = table.read_bytes()
    pl.read_parquet(table).head(3).write_parquet(table, metadata=pl.read_parquet_metadata(table))
    cut = cli("backtest", spec, "--set", own)
    table.write_bytes(whole[:100])
    broken = cli("backtest", spec, "--set", own)
    table.unlink()
    gone = cli("backtest", spec, "--set", own)
    for done in (cut, broken, gone):
        assert done.returncode == 2, done.stderr
        assert "import the recording again" in done.stderr
