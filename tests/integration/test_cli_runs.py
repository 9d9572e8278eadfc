"""The commands of a newcomer, each in a process of its own with an empty home."""

import re
import shutil
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import Cli

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
    stored = cli.cwd / "runs" / run["run_id"] / "result.json"
    stored.write_text(stored.read_text().replace(run["digest"], "0" * 64))
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
