"""`ufos risk` and `ufos drill` as somebody types them, and a run whose denials reach the report."""

from pathlib import Path
from typing import Any

import polars as pl
import pytest

from tests.conftest import Cli
from ufos_nautilus.crossing.chain import ChainReader, Seal
from ufos_nautilus.engine import parse_spec, run_backtest
from ufos_nautilus.engine.generated import generated_root
from ufos_nautilus.report import write_report
from ufos_nautilus.risk.checks import CODES

LIMITS = "strategies/limits.toml"


def test_limits_are_shown_whole_or_as_they_bind_one_book(cli: Cli, checkout: Path) -> None:
    done = cli("risk", "limits", "--json", cwd=checkout)
    assert done.returncode == 0, done.stderr
    assert done.json["limits"]["firm.max_gross_notional"] == "20000000 USD"
    one = cli(
        "risk", "limits", "--book", "MM-AAAA", "--instrument", "AAAA.XSIM", "--kind", "desk", "--json", cwd=checkout
    )
    assert one.json["binds"]["position"] == "3000 units"
    assert one.json["binds"]["kind desk: gross"] == "3000000 USD"
    assert cli("risk", "limits", "--book", "MM-AAAA", cwd=checkout).returncode == 2


def test_an_order_is_judged_without_being_sent(cli: Cli, checkout: Path) -> None:
    order = ["--book", "WM-ALICE", "--kind", "client", "--quantity", "10", "--last", "100", "--price", "100", "--json"]
    good = cli("risk", "check", *order, "--instrument", "AAAA.XSIM", cwd=checkout)
    assert (good.returncode, good.json["findings"]) == (0, [])
    bad = cli("risk", "check", *order, "--instrument", "AAAB.XSIM", cwd=checkout)
    assert bad.returncode == 4
    assert [f["what"] for f in bad.json["findings"]] == ["RESTRICTED"]
    unknown = cli(
        "risk", "check", "--book", "WM-ALICE", "--quantity", "1", "--instrument", "X.Y", "--json", cwd=checkout
    )
    assert unknown.json["findings"][0]["what"] == "UNKNOWN_INSTRUMENT"


def test_a_side_that_is_none_is_refused(cli: Cli, checkout: Path) -> None:
    words = ("--book", "WM-BOB", "--kind", "client", "--instrument", "AAAA.XSIM", "--last", "100", "--quantity", "10")
    done = cli("risk", "check", *words, "--side", "SLEL", "--limits", checkout / "strategies/limits.toml")
    assert done.returncode == 2
    assert "BUY or SELL" in done.stderr


def test_books_that_go_around_the_gate_are_found(cli: Cli, checkout: Path, tmp_path: Path) -> None:
    assert cli("risk", "check", "strategies", cwd=checkout).returncode == 0
    (tmp_path / "sneaky.py").write_text("class B:\n    def f(self):\n        super().submit_order(None)\n")
    done = cli("risk", "check", tmp_path / "sneaky.py", "--json", cwd=checkout)
    assert done.returncode == 4
    assert done.json["findings"][0]["where"].endswith("sneaky.py:3")
    assert cli("risk", "check", tmp_path / "nothing.py", cwd=checkout).returncode == 2
    assert cli("risk", "check", cwd=checkout).returncode == 2


def test_codes_and_differences_are_explained(cli: Cli, checkout: Path, tmp_path: Path) -> None:
    assert cli("risk", "explain", "--json").json["codes"] == CODES
    assert list(cli("risk", "explain", "fat_finger", "--json").json["codes"]) == ["FAT_FINGER"]
    other = tmp_path / "other.toml"
    other.write_text((checkout / LIMITS).read_text().replace("fat_finger_pct = 10", "fat_finger_pct = 5"))
    changes = cli("risk", "diff", LIMITS, other, "--json", cwd=checkout).json["changes"]
    assert changes == [["firm.fat_finger_pct", "10", "5"]]
    assert '"max_gross_notional"' in cli("risk", "schema").stdout


def run_with_limits(root: Path, limits: dict[str, Any]) -> Any:
    spec = {
        "name": "limited",
        "seed": 1,
        "data": [
            {
                "synthetic": {
                    "kind": "universe",
                    "seed": 1,
                    "params": {"duration_s": 30.0, "step_s": 0.5, "instruments": 1, "sectors": 1},
                },
                "tables": ["quotes"],
            }
        ],
        "venues": [{"name": "XSIM", "balances": ["1000000 USD"], "base_currency": "USD", "leverage": 10, "book": "L1"}],
        "books": [
            {
                "id": "AM-B",
                "kind": "strategy",
                "class_path": "tests.books.buyer:Buyer",
                "capital": ["1000000 USD"],
                "params": {"instrument_id": "AAAA.XSIM"},
            }
        ],
        "limits": {"currency": "USD", **limits},
        "ledger": {"enabled": False},
    }
    return run_backtest(parse_spec(spec), root=root)


def test_what_a_run_denied_is_in_its_tables_its_record_its_report_and_the_explanation(
    cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("UFOS_GENERATED", str(tmp_path / "generated"))
    assert generated_root() == tmp_path / "generated"
    result = run_with_limits(tmp_path, {"instruments": {"AAAA.XSIM": {"max_position": "3"}}})
    assert result["denied"] > 0
    denials = result.table("denials")
    assert denials.height == result["denied"] == result["risk"]["denied"]
    assert set(denials["reason"]) == {"POSITION: 4 where 3 is allowed"}
    end = result["risk"]["audit"]
    records = list(ChainReader(result.directory / "risk.jsonl", expect=Seal(end["records"], end["head"])))
    violation = next(r for r in records if r["what"] == "denied")["violations"][0]
    assert (violation["code"], violation["limit"], violation["value"], violation["book"]) == (
        "POSITION",
        "3",
        "4",
        "AM-B",
    )
    page = write_report(result.directory).read_text()
    assert "Refused by the risk gate" in page
    assert "POSITION: 4 where 3 is allowed" in page
    explained = cli("risk", "explain", result.directory / "risk.jsonl", "--json").json
    assert explained["counts"]["denied"] == result["denied"]
    assert explained["rows"][0]["code"] == "POSITION"
    record = result.directory / "risk.jsonl"
    whole = record.read_bytes()
    record.write_bytes(b"".join(whole.splitlines(keepends=True)[:3]))
    assert cli("risk", "explain", record).returncode == 3
    record.unlink()
    assert cli("risk", "explain", result.directory).returncode == 3
    record.write_bytes(whole)
    with open(record, "r+b") as file:
        file.seek(400)
        byte = file.read(1)
        file.seek(400)
        file.write(b"0" if byte != b"0" else b"1")
    assert cli("risk", "explain", result.directory / "risk.jsonl").returncode == 3


def test_limits_that_nothing_breaks_change_nothing_but_add_a_record(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("UFOS_GENERATED", str(tmp_path / "generated"))
    tight, wide = (
        run_with_limits(tmp_path / name, {"instruments": {"AAAA.XSIM": {"max_position": "100000", **more}}})
        for name, more in (("a", {}), ("b", {"max_order_quantity": "1000"}))
    )
    assert tight["denied"] == wide["denied"] == 0
    assert tight["digests"] == wide["digests"]


def test_value_at_risk_of_a_file_of_prices(cli: Cli, tmp_path: Path) -> None:
    days = pl.date_range(pl.date(2020, 1, 1), pl.date(2021, 6, 1), eager=True).alias("date")
    frames = [
        pl.DataFrame({"date": days, "symbol": name, "close": [100 + (i * step) % 7 for i in range(len(days))]})
        for name, step in (("A", 3), ("B", 5))
    ]
    pl.concat(frames).write_parquet(tmp_path / "p.parquet")
    done = cli("risk", "var", tmp_path / "p.parquet", "--json")
    assert done.returncode == 0, done.stderr
    assert len(done.json["rows"]) == 6
    assert all(0 <= r["kupiec_p"] <= 1 for r in done.json["rows"])
    (tmp_path / "q.csv").write_text("a,b\n1,2\n")
    assert cli("risk", "var", tmp_path / "q.csv").returncode == 2
    assert cli("risk", "var", tmp_path / "p.parquet", "--symbols", "C").returncode == 2


def test_value_at_risk_of_the_recorded_stocks(cli: Cli, shared_data: Path) -> None:
    file = shared_data / "us_daily" / "sp500_close_adjclose_2012-12_2017-12.parquet"
    done = cli("risk", "var", file, "--symbols", "AAPL,MSFT,JNJ,XOM,JPM,PG,KO,GE", "--json")
    rows = {(r["method"], r["level"]): r for r in done.json["rows"]}
    assert {method for method, _ in rows} == {"historical", "parametric", "cornish_fisher"}
    assert rows["parametric", "0.99"]["kupiec_p"] < 0.05, "stocks have fatter tails than the normal"
    assert rows["historical", "0.95"]["kupiec_p"] > 0.05


def test_the_drills_print_what_happened(cli: Cli) -> None:
    var = cli("drill", "var", "--days", "800", "--window", "250", "--json")
    assert len(var.json["rows"]) == 6
    stress = cli("drill", "stress", "--names", "40", "--days", "250", "--json").json
    assert stress["snapshot_ms"] > 0
    assert stress["snapshot"][0]["positions"] == 40
    assert len(stress["stress"]) == 8
    limits = cli("drill", "limits", "--json").json["rows"]
    assert {"action", "halt", "denied", "cancel_broken", "acted"} <= {r["what"] for r in limits}
    assert cli("drill", "kill-switch", "--triggers", "shouting").returncode == 2


def test_limits_that_look_every_second_are_refused_for_years_of_daily_prices(cli: Cli, checkout: Path) -> None:
    done = cli("backtest", "strategies/specs/am_pairs.toml", "--set", f'limits="{LIMITS}"', "--json", cwd=checkout)
    assert done.returncode == 2
    assert "watch_interval_s" in done.stderr


def test_a_plan_is_judged_order_by_order_as_if_those_before_were_open(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "prices.csv").write_text("symbol,price,time\nA,100,2024-03-04T20:00:00Z\nMO,40,2024-03-04T20:00:00Z\n")
    (tmp_path / "lots.csv").write_text("symbol,quantity,cost,opened\nMO,5,300,2020-05-05\n")
    (tmp_path / "names.csv").write_text(
        "symbol,gics_sector,gics_sub_industry,instrument_id\nA,Energy,,A.XNAS\nMO,Staples,Tobacco,MO.XNYS\n"
    )
    (tmp_path / "p.toml").write_text(
        'id = "WM-ALICE"\nowner = "Alice"\ncash = "5000"\nas_of = 2024-03-04T21:00:00Z\nlots = "lots.csv"\n'
        'prices = "prices.csv"\nsecurities = "names.csv"\n[target]\nweights = { A = "0.9" }\ncash = "rest"\n'
    )
    limits = 'currency = "USD"\n[[restrictions]]\nid = "no-tobacco"\nbook = "*"\nnames = ["MO"]\n'
    (tmp_path / "wide.toml").write_text(limits)
    (tmp_path / "tight.toml").write_text(limits + '[instruments."A.XNAS"]\nmax_position = 10\n')
    made = cli("plan", "rebalance", "p.toml", "--json", cwd=tmp_path, env={"UFOS_PLANS": str(tmp_path / "plans")})
    assert made.returncode == 0, made.stderr
    plan = next((tmp_path / "plans").glob("*.json"))
    assert {o["side"] for o in made.json["orders"]} == {"BUY", "SELL"}
    wide = cli("risk", "check", plan, "--limits", "wide.toml", "--json", cwd=tmp_path)
    assert (wide.returncode, wide.json["findings"]) == (0, []), "selling what is restricted only reduces"
    tight = cli("risk", "check", plan, "--limits", "tight.toml", "--json", cwd=tmp_path)
    assert tight.returncode == 4
    assert [f["what"] for f in tight.json["findings"]] == ["POSITION"]
