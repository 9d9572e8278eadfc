"""`ufos ledger` as it is typed: what it prints, and its exit codes."""

import json
from decimal import Decimal as D
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from ufos_nautilus.ledger import (
    Asset,
    Contract,
    Ledger,
    Leg,
    Portfolio,
    RiskProfile,
    StrategyRecord,
    deposit,
    fill,
)
from ufos_nautilus.ledger.store import LedgerStore

AAPL = Contract(item="AAPL", asset=Asset("AAPL", 0), currency=Asset("USD", 2))


@pytest.fixture
def ledger(tmp_path: Path) -> Path:
    path = tmp_path / "run-1" / "ledger.sqlite"
    path.parent.mkdir()
    with LedgerStore.open(path) as store:
        made = Ledger(store)
        made.define(AAPL)
        paid_in = {"currency": "USD", "amount": D(100_000), "venue": "XNAS"}
        for book in ("WM-ANN", "MM-ONE"):
            made.post(deposit(made.state, ts_ns=0, ref=book, book=book, **paid_in))
        for number, (side, price) in enumerate((("BUY", "190.00"), ("BUY", "191.00"), ("SELL", "192.00"))):
            made.post(
                fill(
                    made.state,
                    Leg(book="WM-ANN", commission=D("0.35")),
                    ts_ns=number,
                    ref=str(number),
                    instrument_id="AAPL.XNAS",
                    side=side,
                    quantity=D(100),
                    price=D(price),
                )
            )
        made.flush()
        profile = RiskProfile(gamma=D("0.1"), max_drawdown=D("0.2"))
        store.put_portfolios(Portfolio(id="WM-ANN", owner_name="Ann", risk_profile=profile, nav=D(5), currency="USD"))
        store.put_strategies(StrategyRecord(id="AM-1", name="Pairs", logic_path="m:P", allocation_pct=D("12.5")))
    return path


def test_show_gives_books_positions_and_results(cli: Any, ledger: Path) -> None:
    for source in (ledger, ledger.parent, f"sqlite:///{ledger}"):
        shown = cli("ledger", "show", source, "--price", "AAPL=193", "--json").json
        assert shown["balanced"] is True
        assert shown["head"]["seq"] == 8
        ann = next(book for book in shown["books"] if book["book"] == "WM-ANN")
        assert ann["inventory"][0]["net_position"] == "100"
        assert ann["inventory"][0]["vwap_cost"] == "190.5"
        assert (ann["results"][0]["realised"], ann["results"][0]["unrealised"]) == ("150.00", "250.00")
        assert ann["nav"] == {"USD": "100398.95"}
        assert shown["portfolios"][0]["risk_profile"] == {"gamma": "0.1", "max_drawdown": "0.2"}
        assert shown["strategies"][0]["allocation_pct"] == "12.5"
        assert shown["positions_by_venue"] == [{"book": "WM-ANN", "instrument_id": "AAPL.XNAS", "quantity": "100"}]


def test_show_prints_tables_and_says_what_is_missing(cli: Any, ledger: Path) -> None:
    done = cli("ledger", "show", ledger)
    assert done.returncode == 0, done.stderr
    for words in ("inventory", "190.5", "give --price ITEM=PRICE", "8 entries"):
        assert words in done.stdout
    done = cli("ledger", "show", ledger, "--price", "AAPL=193", "--book", "WM-ANN")
    assert "100398.95" in done.stdout
    assert "MM-ONE" not in done.stdout


def test_check_export_and_replay(cli: Any, ledger: Path) -> None:
    report = cli("ledger", "check", ledger, "--json").json
    assert (report["sound"], report["entries"], report["problems"]) == (True, 8, [])
    assert cli("ledger", "check", ledger, "--head", report["head"]).returncode == 0
    assert "same: 8 entries" in cli("ledger", "replay", ledger).stdout
    assert cli("ledger", "replay", ledger, "--json").json["same"] is True
    done = cli("ledger", "export", ledger, "--out", ledger.parent / "parquet", "--json")
    assert done.json["rows"]["entries"] == 8
    postings = pl.read_parquet(ledger.parent / "parquet" / "postings-*.parquet")
    assert postings.group_by("asset").agg(pl.col("units").sum())["units"].to_list() == [0, 0]


def test_a_ledger_that_was_changed_ends_with_exit_code_3(cli: Any, ledger: Path, damage: Any) -> None:
    note = cli("ledger", "check", ledger, "--json").json["head"]
    damage(f"sqlite:///{ledger}", "UPDATE postings SET amount = amount + 1 WHERE seq = 6 AND line = 0")
    done = cli("ledger", "check", ledger, "--json")
    assert done.returncode == 3
    assert "IntegrityError" in done.stdout and "entry 6" in done.stderr
    assert json.loads(done.stdout.splitlines()[0])["sound"] is False
    for command in ("show", "replay"):
        assert cli("ledger", command, ledger).returncode == 3
    assert cli("ledger", "export", ledger, "--out", ledger.parent / "x").returncode == 3
    assert sorted(p.name for p in ledger.parent.iterdir()) == ["ledger.sqlite"]
    damage(f"sqlite:///{ledger}", "UPDATE postings SET amount = amount - 1 WHERE seq = 6 AND line = 0")
    assert cli("ledger", "check", ledger, "--head", note).returncode == 0
    damage(f"sqlite:///{ledger}", "DELETE FROM entries WHERE seq = 8")
    done = cli("ledger", "check", ledger)
    assert done.returncode == 3
    assert "its head record says entry 8" in done.stderr
    forged = f"8:{'0' * 64}"
    assert cli("ledger", "check", ledger, "--head", forged).returncode == 3


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (("show", "nowhere"), "no run 'nowhere'"),
        (("show", "LEDGER", "--book", "NONE"), "no book 'NONE'"),
        (("show", "LEDGER", "--price", "AAPL"), "is no price"),
        (("show", "LEDGER", "--price", "AAPL=NaN"), "is no price"),
        (("check", "LEDGER", "--head", "seven"), "is no head"),
        (("export", "LEDGER", "--out", "."), "exists already"),
        (("check", "mysql://x/y"), "cannot live in mysql"),
    ],
)
def test_bad_input_ends_with_exit_code_2_and_one_clear_error(cli: Any, ledger: Path, args: Any, message: str) -> None:
    done = cli("ledger", *(str(ledger) if arg == "LEDGER" else arg for arg in args))
    assert done.returncode == 2
    assert message in done.stderr
    assert "Traceback" not in done.stderr
