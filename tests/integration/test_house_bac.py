"""The house on BAC's real best bid and offer: crosses that prove their price, a ledger exact to the cent."""

import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from ufos_nautilus.cli import run as run_command
from ufos_nautilus.crossing.audit import AuditLog
from ufos_nautilus.crossing.best_execution import CROSSES_FILE, SCHEMA, read_crosses
from ufos_nautilus.engine import RunResult, load_spec, run_backtest
from ufos_nautilus.ledger.store import LedgerStore
from ufos_nautilus.ledger.views import cash_by_venue

SPEC = Path(__file__).resolve().parents[2] / "strategies" / "specs" / "house_bac.toml"
DAY = "20131007"


@pytest.fixture(scope="module")
def catalog(shared_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One day of BAC, imported by the command that the spec names."""
    target = tmp_path_factory.mktemp("catalogs") / "bac"
    files = [shared_data / "us_equity_ticks" / "bac" / f"{DAY}_{kind}.zip" for kind in ("quote", "trade")]
    assert run_command("data", ["import", "lean-ticks", *map(str, files), "--catalog", str(target), "--json"]) == 0
    return target


@pytest.fixture(scope="module")
def hour(catalog: Path, tmp_path_factory: pytest.TempPathFactory) -> RunResult:
    """An hour of the spec's day; the whole day is the golden run of that name."""
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("UFOS_LEDGER_URL", raising=False)
        overrides = [
            f"data.0.catalog='{catalog}'",
            "data.0.start=2013-10-07T14:00:00Z",
            "data.0.end=2013-10-07T15:00:00Z",
        ]
        return run_backtest(load_spec(SPEC, overrides), root=tmp_path_factory.mktemp("runs"))


def verify(capsys: Any, *arguments: object) -> tuple[int, dict[str, Any]]:
    capsys.readouterr()
    code = run_command("crosses", ["verify", *map(str, arguments), "--json"])
    return code, json.loads(capsys.readouterr().out.strip().splitlines()[-1])


def test_every_cross_agrees_with_the_recorded_market(hour: RunResult, catalog: Path, capsys: Any) -> None:
    code, said = verify(capsys, hour.directory, "--catalog", catalog)
    assert code == 0
    assert said["crosses"] == hour["crosses"]["crosses"] > 1_000
    assert said["market"] == {"symbols": 1, "venues": 1, "quotes": 238_427}
    assert said["sealed"]


def test_a_record_that_is_whole_but_untrue_is_refuted_by_the_market(
    hour: RunResult, catalog: Path, tmp_path: Path, capsys: Any
) -> None:
    """Somebody writes a new record, chain and seal and all, in which the market stood a cent higher once."""
    records = read_crosses(hour.directory / CROSSES_FILE)
    forged = records[len(records) // 2]
    cent = Decimal("0.01")
    forged["price"] = str(Decimal(forged["price"]) + cent)
    forged["value"] = str(Decimal(forged["price"]) * Decimal(forged["quantity"]))
    for side in ("bid", "ask"):
        forged["nbbo"][side] = str(Decimal(forged["nbbo"][side]) + cent)
    for party in ("buy", "sell"):
        forged[party]["touch"] = str(Decimal(forged[party]["touch"]) + cent)
    log = AuditLog(tmp_path / "forged.jsonl", run_id=hour.run_id, schema=SCHEMA)
    for record in records:
        log.append(record)
    log.seal()
    assert verify(capsys, tmp_path / "forged.jsonl")[0] == 0
    code, said = verify(capsys, tmp_path / "forged.jsonl", "--catalog", catalog)
    assert code == 3
    assert forged["cross_id"] in said["problem"]
    assert "1 problems" in said["problem"]


def test_the_ledger_agrees_with_the_accounts_to_the_cent(hour: RunResult) -> None:
    assert hour["ledger"]["balanced"]
    assert hour["ledger"]["reconciled"]
    with LedgerStore.open(hour.directory, readonly=True) as store:
        cash = {key: amount for key, amount in cash_by_venue(store.state()).items() if key[1] == "USD"}
    balances = {(venue, code): Decimal(v) for venue, b in hour["final_balances"].items() for code, v in b.items()}
    assert cash == balances
    capital = sum(Decimal(b["capital"]["USD"]) for b in hour["ledger"]["books"].values())
    net_values = sum(Decimal(b["nav"]["USD"]) for b in hour["ledger"]["books"].values())
    assert net_values - capital == Decimal(hour["net_pnl"]["USD"])


def test_all_ways_of_working_a_residual_were_used(hour: RunResult) -> None:
    assert hour["algorithms"].keys() == {"POV", "VWAP"}
    tickets = hour.table("tickets")
    assert set(tickets["algorithm"]) == {"VWAP", "POV", "TWAP", "MARKET"}
    assert (tickets["market"] > 0).any()
    assert (tickets["desk"] > 0).any()
    assert tickets["unfilled"].sum() < tickets["quantity"].sum() * Decimal("0.02")


def test_the_golden_run_is_the_spec_itself(checkout: Path) -> None:
    golden = checkout / "tests" / "golden" / "house_bac.toml"
    assert golden.read_bytes() == SPEC.read_bytes()
    stored = json.loads(golden.with_suffix(".json").read_text("utf-8"))
    assert int(stored["crosses.crosses"]) > 5_000
