"""`ufos mcp` and `ufos experiments` as somebody types them."""

import json
from pathlib import Path

import pytest

from tests import mcp_world
from tests.conftest import Cli
from tests.mcp_world import SIM
from ufos_nautilus.research.experiment_records import RunRecord, ToolCall
from ufos_nautilus.research.experiments import ExperimentStore

world = mcp_world.world


@pytest.fixture
def store(tmp_path: Path) -> Path:
    """A store with one hypothesis, a trial that lost, and a call."""
    path = tmp_path / "experiments.sqlite"
    with ExperimentStore(path) as opened:
        experiment = opened.open_experiment("dips rebound", knowledge_cutoff="2026-01", user="ann")
        metrics = {"net_pnl": {"USD": "-5.1"}}
        record = RunRecord(
            run_id="dip-1", kind="spec", strategy="rsi-dip", params={}, data={"symbols": [SIM]}, metrics=metrics,
            verdict="losing", error="", elapsed_s=0.1,
        )  # fmt: skip
        opened.add_run(experiment, record)
        opened.add_tool_calls([ToolCall(request="1", user="ann", tool="run_backtest", outcome="ok", duration_ms=3.0)])
    return path


def test_the_store_is_searched_from_the_command_line(cli: Cli, store: Path) -> None:
    text = "[red]dips[/red] need a quiet market"
    saved = cli(
        "experiments", "add", "pattern", text, "--tag", "rsi", "--run", "dip-1", "--store", store, "--json"
    ).json
    assert saved["tags"] == ["rsi"]
    shown = cli("experiments", "search", "quiet", "--store", store)
    assert "(red)dips" in shown.stdout, "nothing of a text is markup of the terminal"
    found = cli("experiments", "search", "dip", "--store", store, "--json").json["found"]
    assert {row["found"] for row in found} == {"insight", "experiment", "run"}
    listed = cli("experiments", "list", "--store", store, "--json").json
    assert (listed["trials"], listed["experiments"][0]["knowledge_cutoff"]) == (1, "2026-01")
    failed = cli("experiments", "runs", "--failed", "--store", store, "--json").json["runs"]
    assert [row["verdict"] for row in failed] == ["losing"]
    (tool,) = cli("experiments", "tools", "--store", store, "--json").json["tools"]
    assert (tool["tool"], tool["calls"]) == ("run_backtest", 1)


def test_what_the_store_cannot_take_is_refused(cli: Cli, tmp_path: Path) -> None:
    missing = cli("experiments", "search", "dip")
    assert (missing.returncode, missing.stdout) == (2, "")
    assert "ufos experiments add" in missing.stderr
    assert cli("experiments", "add", "rumour", "somebody said so").returncode == 2
    (tmp_path / "other.sqlite").write_text("no database")
    assert cli("experiments", "list", "--store", tmp_path / "other.sqlite").returncode == 2


def test_a_client_is_configured_once_and_what_it_had_stays(cli: Cli, world: Path, tmp_path: Path) -> None:
    root = tmp_path / "project"
    root.mkdir()
    printed = json.loads(cli("mcp", "install", "claude-code", "--root", root, "--print").stdout)
    assert not list(root.iterdir()), "printing changes nothing"
    (root / ".mcp.json").write_text(json.dumps({"mcpServers": {"other": {"command": "x"}}}))
    done = cli("mcp", "install", "claude-code", "--root", root, "--json").json
    found = json.loads(Path(done["file"]).read_text("utf-8"))
    assert found["mcpServers"] == {"other": {"command": "x"}, **printed["mcpServers"]}
    unknown = cli("mcp", "install", "notepad")
    assert (unknown.returncode, "claude-desktop" in unknown.stderr) == (2, True)


def test_a_key_is_shown_once_listed_and_taken_away(cli: Cli, tmp_path: Path) -> None:
    keys = tmp_path / "private" / "keys.json"
    made = cli("mcp", "token", "new", "ann", "--scope", "read", "--keys", keys, "--json").json
    assert made["key"] not in keys.read_text("utf-8")
    (listed,) = cli("mcp", "token", "list", "--keys", keys, "--json").json["keys"]
    assert (listed["name"], listed["scopes"]) == ("ann", ["read"])
    assert cli("mcp", "token", "remove", "ann", "--keys", keys).returncode == 0
    assert cli("mcp", "token", "list", "--keys", keys, "--json").json["keys"] == []
    assert cli("mcp", "token", "new", "bob", "--scope", "trade", "--keys", keys).returncode == 2


def test_the_doctor_finds_all_there_and_the_records_are_whole(cli: Cli, world: Path, tmp_path: Path) -> None:
    runs = {"UFOS_RUNS": str(tmp_path / "runs")}
    report = cli("mcp", "doctor", "--root", world, "--json", env=runs).json
    assert report["ok"]
    checks = {check["name"]: check for check in report["checks"]}
    assert "as agreed" in checks["surface"]["found"]
    assert "2 instruments" in checks["data"]["found"]
    audit = tmp_path / "runs" / "_research" / "audit"
    records = cli("mcp", "audit", audit, "--json").json["records"]
    assert records
    assert all(record["sealed"] for record in records)
    (path,) = audit.glob("*.jsonl")
    path.write_text(path.read_text("utf-8").replace('"event":"start"', '"event":"other"'), "utf-8")
    assert cli("mcp", "audit", audit).returncode == 3
    assert cli("mcp", "audit", tmp_path / "nothing").returncode == 2
