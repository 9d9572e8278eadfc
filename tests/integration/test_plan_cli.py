"""`ufos plan`: a portfolio file in, a stored plan out; errors that name what is wrong, and nothing half-written."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import Cli

PORTFOLIO = """
id = "WM-ALICE"
owner = "Alice Example"
cash = "1500.00"
as_of = 2024-03-04T21:00:00Z
lots = "lots.csv"
prices = "prices.csv"
securities = "securities.csv"

[target]
weights = { AAA = "0.5", BBB = "0.3", CCC = "0.2" }

[restrictions]
sub_industries = ["Tobacco"]

[tax]
order = "least_tax"
"""
PRICES = """symbol,price,time
AAA,100,2024-03-04T20:00:00Z
BBB,50,2024-03-04T20:00:00Z
CCC,20,2024-03-04
MO,40,2024-03-04
"""
LOTS = "symbol,quantity,cost,opened\nAAA,10,900,2022-01-03\nAAA,10,1100,2023-06-01\nMO,5,300,2020-05-05\n"
SECURITIES = "symbol,gics_sector,gics_sub_industry,instrument_id\nAAA,Energy,,AAA.XNAS\nMO,Staples,Tobacco,MO.XNYS\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name, text in (("lots", LOTS), ("prices", PRICES), ("securities", SECURITIES)):
        (tmp_path / f"{name}.csv").write_text(text)
    (tmp_path / "alice.toml").write_text(PORTFOLIO)
    return tmp_path


def run(cli: Cli, folder: Path, *args: object) -> Any:
    return cli(*args, cwd=folder, env={"UFOS_PLANS": str(folder / "plans")})


def test_a_plan_is_made_stored_shown_and_simulated(cli: Cli, folder: Path) -> None:
    made = run(cli, folder, "plan", "rebalance", "alice.toml", "--json")
    assert made.returncode == 0, made.stderr
    plan = made.json
    orders = {o["symbol"]: (o["side"], o["quantity"]) for o in plan["orders"]}
    assert orders["MO"] == ("SELL", "5")
    assert orders["AAA"][0] == "SELL"
    assert orders["BBB"][0] == orders["CCC"][0] == "BUY"
    assert plan["summary"].startswith("4 trades, estimated cost ")
    assert plan["orders"][0]["lots"][0]["ref"] == "2", "the dearer lot costs less tax"
    shown = run(cli, folder, "plan", "show", plan["plan_id"], "--json").json
    assert shown["hash"] == plan["hash"]
    again = run(cli, folder, "plan", "rebalance", "alice.toml", "--json").json
    assert again["hash"] == plan["hash"]
    assert len(list((folder / "plans").iterdir())) == 1
    fallen = run(cli, folder, "plan", "simulate", "last", "--move", "-0.1", "--json").json
    assert float(fallen["nav"]) < float(plan["nav"])
    assert fallen["violations"] == []


def test_a_person_sees_tables(cli: Cli, folder: Path) -> None:
    done = run(cli, folder, "plan", "rebalance", "alice.toml")
    assert done.returncode == 0, done.stderr
    assert "4 trades, estimated cost" in done.stdout
    assert "next: ufos plan simulate" in done.stdout
    assert "violations" not in done.stdout


def test_a_plan_that_breaks_a_limit_says_so_in_its_exit_code(cli: Cli, folder: Path) -> None:
    file = folder / "alice.toml"
    file.write_text(file.read_text().replace("[tax]", "MAX\n[tax]"))
    file.write_text(file.read_text().replace("MAX", '[rules]\nmax_weight = "0.10"'))
    made = run(cli, folder, "plan", "rebalance", "alice.toml", "--json")
    assert made.returncode == 4, made.stderr
    assert made.json["violations"]


def test_a_changed_plan_is_refused_with_its_own_exit_code(cli: Cli, folder: Path) -> None:
    made = run(cli, folder, "plan", "rebalance", "alice.toml", "--json").json
    path = Path(made["path"])
    path.write_text(path.read_text().replace('"quantity": "5"', '"quantity": "6"'))
    done = run(cli, folder, "plan", "show", "last")
    assert done.returncode == 3
    assert "has been changed" in done.stderr


def test_an_expired_plan_is_refused(cli: Cli, folder: Path) -> None:
    run(cli, folder, "plan", "rebalance", "alice.toml")
    late = run(cli, folder, "plan", "simulate", "last", "--at", "2024-03-05T00:00:00Z")
    assert late.returncode == 2
    assert "expired" in late.stderr


@pytest.mark.parametrize(
    ("file", "before", "after", "message"),
    [
        ("alice.toml", '"0.5"', '"0.6"', "add up to 1.1"),
        ("alice.toml", '"0.5"', '"-0.5"', "target weight of AAA is -0.5"),
        ("alice.toml", "CCC =", "CCD =", "CCD, which is not known"),
        ("alice.toml", "CCC =", "MO =", "restricted names: MO (sub-industry Tobacco)"),
        ("alice.toml", "2024-03-04T21", "2024-03-24T21", "days old"),
        ("alice.toml", "[tax]", "[tax]\nshort = 1", "tax has no key 'short'"),
        ("alice.toml", "[tax]", "flow = -9000\n[tax]", "restriction by 'flow'"),
        ("alice.toml", 'owner = "Alice Example"', "flow = -9000", "net asset value after the flow"),
        ("alice.toml", "as_of = 2024-03-04T21:00:00Z", "as_of = 2024-03-04T21:00:00", "as_of is"),
        ("alice.toml", 'id = "WM-ALICE"', "", "has no id"),
        ("lots.csv", "AAA,10,1100", "AAA,-10,1100", "has -10 units"),
        ("lots.csv", "2023-06-01", "soon", "lot 2: opened is 'soon'"),
        ("lots.csv", "symbol,quantity", "symbol,amount", "no column quantity"),
        ("lots.csv", "MO,5,300,2020-05-05", "MO,5,300", "another number of fields"),
        ("prices.csv", "AAA,100", "AAA,free", "price is 'free'"),
        ("prices.csv", "MO,40,2024-03-04\n", "", "no price of MO"),
    ],
)
def test_bad_input_gives_a_clear_error_and_no_plan(
    cli: Cli, folder: Path, file: str, before: str, after: str, message: str
) -> None:
    path = folder / file
    text = path.read_text()
    assert before in text
    path.write_text(text.replace(before, after, 1))
    done = run(cli, folder, "plan", "rebalance", "alice.toml", "--json")
    assert done.returncode == 2, done.stderr
    assert message in done.json["problem"]
    assert not (folder / "plans").exists()


def test_restricted_weight_goes_to_the_others_on_request(cli: Cli, folder: Path) -> None:
    path = folder / "alice.toml"
    path.write_text(path.read_text().replace("CCC =", "MO ="))
    plan = run(cli, folder, "plan", "rebalance", "alice.toml", "--redistribute", "--json").json
    targets = {w["symbol"]: w["target"] for w in plan["weights"]}
    assert targets == {"AAA": "0.625", "BBB": "0.375", "MO": "0"}
    assert any("given to the others" in note for note in plan["notes"])


def test_a_target_file_and_a_catalog_give_weights_and_prices(cli: Cli, folder: Path) -> None:
    made = cli("data", "generate", "universe", "--catalog", folder / "market", "--set", "duration_s=20")
    assert made.returncode == 0, made.stderr
    listed = cli("data", "list", folder / "market", "--json").json["tables"]
    names = sorted({row["identifier"].partition(".")[0] for row in listed})[:2]
    (folder / "weights.csv").write_text(f"ticker,weight\n{names[0]},0.5\n{names[1]},0.4\n")
    (folder / "bob.toml").write_text('id = "WM-BOB"\ncash = 100000\nprices = { catalog = "market" }\n')
    done = run(cli, folder, "plan", "rebalance", "bob.toml", "--target", "weights.csv", "--cash", "rest", "--json")
    assert done.returncode == 0, done.stderr
    plan = json.loads(done.stdout)
    assert {o["symbol"] for o in plan["orders"]} == set(names)
    assert plan["target_cash"] == "0.1"
    assert all(o["instrument_id"].endswith(".XSIM") for o in plan["orders"])
