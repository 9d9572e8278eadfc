"""The example strategies on a minute of a real recording: the honest one is verified, the others are rejected."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from ufos_nautilus.cli.data import app as data_app
from ufos_nautilus.cli.sandbox import app

pytest_plugins = ["tests.sandbox_fixtures"]
pytestmark = [pytest.mark.timeout(180), pytest.mark.slow]
EXAMPLES = Path(__file__).resolve().parents[2] / "sandbox" / "examples"
FORGERS = ("forge_balance", "forge_prices", "forge_rebates")
CHEATS = ("cheat_run_twice", "cheat_hide_losers", "cheat_end_of_data")


@pytest.fixture(scope="module")
def recording(shared_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the catalog that the example spec names."""
    root = tmp_path_factory.mktemp("recorded")
    source = shared_data / "crypto_l2" / "usdm_btcusdt_20240808.gz"
    catalog = root / "catalogs" / "btcusdt_perp"
    done = CliRunner().invoke(data_app, ["import", "binance-raw", str(source), "--catalog", str(catalog), "--json"])
    assert done.exit_code == 0, done.output
    return root


def sandbox_run(root: Path, name: str, monkeypatch: Any) -> dict[str, Any]:
    monkeypatch.chdir(root)
    command = ["run", str(EXAMPLES / f"{name}.py"), "--spec", str(EXAMPLES / "follow.toml"), "--json"]
    done = CliRunner().invoke(app, command)
    told = json.loads(done.stdout.strip().splitlines()[-1])
    assert done.exit_code == (0 if told["state"] == "COMPLETED" else 1)
    return told


def test_every_example_is_tried_here():
    assert {p.stem for p in EXAMPLES.glob("*.py")} == {"follow", *FORGERS, *CHEATS}


def test_the_honest_one_is_verified_with_the_digest_of_the_same_spec_on_the_host(image, recording, monkeypatch):
    told = sandbox_run(recording, "follow", monkeypatch)
    assert (told["state"], told["label"], told["evidence"], told["unjudged"]) == ("COMPLETED", "verified", [], [])
    assert told["fills"] > 5
    command = [sys.executable, "-m", "ufos_nautilus.cli", "backtest", str(EXAMPLES / "follow.toml"), "--no-report"]
    environment = os.environ | {"PYTHONPATH": str(EXAMPLES)}
    done = subprocess.run(
        [*command, "--json"], cwd=recording, env=environment, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    on_host = json.loads(done.stdout.strip().splitlines()[-1])
    assert on_host["digest"] == told["digest"]
    assert told["net_pnl"] == {"USDT": on_host["net_pnl"]}


@pytest.mark.parametrize("name", FORGERS)
def test_a_forger_is_rejected_with_evidence(image, recording, monkeypatch, name):
    told = sandbox_run(recording, name, monkeypatch)
    assert (told["state"], told["label"]) == ("AUDIT_MISMATCH", "rejected")
    assert told["evidence"]
    assert told["net_pnl"] == {}


@pytest.mark.parametrize("name", CHEATS)
def test_a_cheat_that_knows_the_future_is_rejected_with_evidence(image, recording, monkeypatch, name):
    told = sandbox_run(recording, name, monkeypatch)
    assert (told["state"], told["label"]) == ("LOOKAHEAD_SUSPECTED", "rejected")
    assert "on data that ends at" in told["evidence"][0]
    assert told["net_pnl"] == {}
