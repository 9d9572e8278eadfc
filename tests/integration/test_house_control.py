"""A house run beside its control: tickets, costs and the report say the same as crosses and ledger."""

import json
import shutil
from decimal import Decimal
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from ufos_nautilus.cli import run as run_command
from ufos_nautilus.crossing.best_execution import CROSSES_FILE, crosses_frame, read_crosses
from ufos_nautilus.crossing.savings import savings
from ufos_nautilus.engine import load_spec, run_backtest
from ufos_nautilus.errors import DataError
from ufos_nautilus.report import RunTables
from ufos_nautilus.report.control import compare_control
from ufos_nautilus.report.parts import KeyFigures, Note, Table
from ufos_nautilus.report.sections.house import house_section

SPEC = Path(__file__).resolve().parents[1] / "golden" / "house.toml"


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """The golden house and its control, run by one command."""
    root = tmp_path_factory.mktemp("house")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("UFOS_RUNS", str(root / "runs"))
        patch.setenv("UFOS_GENERATED", str(root / "generated"))
        patch.delenv("UFOS_LEDGER_URL", raising=False)
        yield _run(root)


def _run(root: Path) -> tuple[dict[str, Any], RunTables, RunTables]:
    import contextlib
    import io

    with contextlib.redirect_stdout(io.StringIO()) as printed:
        assert run_command("backtest", [str(SPEC), "--control", "--json"]) == 0
    said = json.loads(printed.getvalue().strip().splitlines()[-1])
    house, control = (RunTables.load(root / "runs" / said[name]["run_id"]) for name in ("house", "control"))
    return said, house, control


def money(values: pl.Series) -> Decimal:
    return Decimal(str(values.sum()))


def test_tickets_add_up_to_what_the_house_counted(both: Any) -> None:
    said, house, control = both
    tickets, figures = house.tickets, house.result["crosses"]
    assert said["house"]["tickets"] == house.result["tickets"]
    assert house.result["tickets"]["count"] == tickets.height
    assert Decimal(house.result["tickets"]["unfilled"]) == money(tickets["unfilled"])
    assert money(tickets["crossed"]) == 2 * Decimal(figures["cross_quantity"])
    assert money(tickets["desk"]) == Decimal(figures["desk_quantity"])
    assert money(tickets["market"]) <= Decimal(figures["market_quantity"])
    assert (tickets["unfilled"] >= 0).all()
    record = crosses_frame(read_crosses(house.run_dir / CROSSES_FILE))
    assert money(tickets["transfer_fee"]) == money(record["buy_fee"]) + money(record["sell_fee"])
    assert money(control.tickets["crossed"]) == money(control.tickets["desk"]) == 0
    by_book = house.fills.join(house.orders, on="client_order_id").filter(pl.col("tags").str.contains("ticket:"))
    assert money(by_book["commission"]) == money(tickets["commission"])


def test_both_runs_had_the_same_tickets(both: Any) -> None:
    said, house, control = both
    assert said["compared"]["same_tickets"]
    assert house.tickets.height == control.tickets.height > 50
    assert house.result["data"] == control.result["data"]


def test_what_owners_saved_on_paper_is_what_their_books_gained(both: Any) -> None:
    """The one comes from tickets and midpoints, the other from the ledger; venues round a cent here and there."""
    compared = both[0]["compared"]
    gained = {row["book"]: Decimal(row["gained"]) for row in compared["books"]}
    for row in compared["owners"]:
        assert abs(Decimal(row["saved"]) - gained[row["owner"]]) < Decimal("0.5"), row
    assert sum((Decimal(r["saved"]) for r in compared["owners"]), Decimal(0)) > 0
    total = compared["totals"]["USD"]
    assert Decimal(total["gained"]) == sum(gained.values())
    assert Decimal(total["profit"]) == Decimal(both[0]["house"]["net_pnl"])


def test_the_report_shows_the_house(both: Any) -> None:
    _, house, _ = both
    section = house_section(house)
    tables = {part.caption: part for part in section.parts if isinstance(part, Table)}
    assert list(tables) == [
        "Saved by crossing",
        "Cost of all tickets against the midpoint on arrival",
        "Where tickets went",
        "What desks made of internal flow, markouts taken off",
        "Ledger statement",
    ]
    (figures,) = (part for part in section.parts if isinstance(part, KeyFigures))
    said = {f.label: (f.value, f.tone) for f in figures.figures}
    assert said["Ledger"] == ("balanced, reconciled", "good")
    assert said["Best execution"] == ("record whole", "good")
    saved = savings(crosses_frame(read_crosses(house.run_dir / CROSSES_FILE)))
    shown = [Decimal(row[5].replace(",", "")) for row in tables["Saved by crossing"].rows]
    assert sum(shown) == money(saved["saved"]).quantize(Decimal("0.01"))
    assert {row[1] for row in tables["Saved by crossing"].rows} == {"client", "strategy"}
    books = {row[0] for row in tables["Ledger statement"].rows}
    assert books == {b["id"] for b in house.result["books"]} | {"HOUSE-1"}


def test_a_run_without_crossing_has_no_savings(both: Any) -> None:
    section = house_section(both[2])
    tables = {part.caption: part for part in section.parts if isinstance(part, Table)}
    assert list(tables) == [
        "Cost of all tickets against the midpoint on arrival",
        "Where tickets went",
        "Worked by algorithms",
        "Ledger statement",
    ]
    assert {row[0] for row in tables["Worked by algorithms"].rows} == {"TWAP"}, "what it held back when the data ended"


def test_a_broken_record_is_shown_as_broken(both: Any, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(both[1].run_dir, copy)
    record = copy / CROSSES_FILE
    record.write_bytes(record.read_bytes().replace(b'"quantity":"', b'"quantity":"1', 1))
    section = house_section(RunTables.load(copy))
    (figures,) = (part for part in section.parts if isinstance(part, KeyFigures))
    assert [f.value for f in figures.figures if f.label == "Best execution"] == ["BROKEN"]
    assert any(isinstance(part, Note) and part.kind == "error" for part in section.parts)


def test_runs_of_other_data_are_not_compared(both: Any) -> None:
    _, house, control = both
    control.result["data"], kept = ["sha256:other"], control.result["data"]
    try:
        with pytest.raises(DataError, match="replayed other data"):
            compare_control(house, control)
    finally:
        control.result["data"] = kept


def test_the_comparison_is_printed(both: Any, capsys: Any, monkeypatch: Any) -> None:
    monkeypatch.setenv("COLUMNS", "160")
    assert run_command("backtest", [str(SPEC), "--control", "--no-report"]) == 0
    printed = capsys.readouterr().out
    for text in (
        "with the house",
        "what tickets cost against the midpoint on arrival",
        "profit of each book",
        "WM-BOB",
    ):
        assert text in printed
    assert "the house saved its owners" in printed
    assert not (Path(both[1].run_dir) / "report.html").exists(), "the run was replaced and no report asked for"


@pytest.mark.parametrize(
    ("arguments", "environment", "message"),
    [
        (["--set", "crossing.enabled=false"], {}, "has no house to switch off"),
        (["--report", "here.html"], {}, "--control makes two runs"),
        ([], {"UFOS_LEDGER_URL": "sqlite:///x"}, "need a ledger each"),
    ],
)
def test_a_control_that_cannot_be_is_refused(
    arguments: list[str], environment: dict[str, str], message: str, capsys: Any, monkeypatch: Any, tmp_path: Path
) -> None:
    monkeypatch.setenv("UFOS_RUNS", str(tmp_path))
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert run_command("backtest", [str(SPEC), "--control", *arguments]) == 2
    assert message in capsys.readouterr().err
    assert not list(tmp_path.iterdir()), "refused before anything ran"


def test_the_control_is_the_same_spec_but_for_crossing() -> None:
    from ufos_nautilus.cli.control import control_of

    spec = load_spec(SPEC)
    control = control_of(spec)
    assert control.name == "house-control"
    before, after = spec.model_dump(), control.model_dump()
    assert {k for k in before if before[k] != after[k]} == {"name", "crossing"}
    assert {k for k in before["crossing"] if before["crossing"][k] != after["crossing"][k]} == {"enabled"}


def test_a_house_may_begin_after_its_data_does(tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.setenv("UFOS_GENERATED", str(tmp_path / "generated"))
    spec = load_spec(SPEC, ["data.0.synthetic.params.duration_s=60.0", "data.0.start=2026-01-05T14:30:20Z"])
    result = run_backtest(spec, root=tmp_path / "runs")
    assert result["crosses"]["crosses"] + result["crosses"]["desk"] > 0
    assert result["ledger"]["reconciled"]
