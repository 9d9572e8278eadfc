"""Stored runs side by side."""

import json
from decimal import Decimal

import pytest

from tests.run_factory import empty_run, make_run
from ufos_nautilus import limits
from ufos_nautilus.errors import DataError, LimitExceededError
from ufos_nautilus.report import RunTables, compare_runs
from ufos_nautilus.report.compare import compare


def compared(runs):
    return {row.figure: row for row in compare([RunTables.load(run) for run in runs])}


def test_two_runs_of_one_spec_differ_only_where_they_differ(tmp_path):
    runs = [make_run(tmp_path, name, minutes=3, seed=1) for name in ("a", "b")]
    assert not [row.figure for row in compare([RunTables.load(run) for run in runs]) if not row.same]


def test_counts_and_money_are_compared_with_their_change(tmp_path):
    runs = [make_run(tmp_path, f"r{seed}", minutes=3, seed=seed) for seed in (1, 2)]
    rows = compared(runs)
    stored = [json.loads((run / "result.json").read_text()) for run in runs]
    assert rows["fills"].values == (stored[0]["fills"], stored[1]["fills"])
    assert rows["fills"].change == stored[1]["fills"] - stored[0]["fills"]
    pnl = [Decimal(result["net_pnl"]["USDT"]) for result in stored]
    assert rows["net P&L USDT"].change == pnl[1] - pnl[0]
    assert {"spread captured USDT", "fees USDT", "deepest drawdown USDT", "elapsed s"} <= set(rows)
    assert rows["spec seed"].values == ("1", "2")
    assert "spec books.0.gamma" not in rows, "equal spec values are left out"


def test_a_figure_one_run_lacks_is_empty_there_and_has_no_change(tmp_path):
    rows = compared([empty_run(tmp_path), make_run(tmp_path, minutes=2)])
    assert rows["net P&L USDT"].values[0] is None
    assert rows["net P&L USDT"].change is None


def test_rows_have_a_column_for_each_run_named_by_its_id(tmp_path):
    rows = compare_runs([make_run(tmp_path, minutes=1), make_run(tmp_path, "r2", minutes=2)])
    assert all(list(row) == ["figure", "r1", "r2", "change"] for row in rows)
    inventory = next(row for row in rows if str(row["figure"]).startswith("largest inventory"))
    assert isinstance(inventory["r1"], Decimal)


def test_a_run_beside_itself_has_two_columns_and_no_change(tmp_path):
    run = make_run(tmp_path, minutes=1)
    rows = compare_runs([run, run, run])
    assert all(list(row) == ["figure", "r1", "r1 (2)", "r1 (3)", "change"] for row in rows)
    assert not any(row["change"] for row in rows)


def test_too_many_runs_are_refused_before_any_is_read(tmp_path):
    with pytest.raises(LimitExceededError, match="21 runs"):
        compare_runs([tmp_path] * (limits.RUNS_COMPARED_MAX + 1))


def test_a_folder_that_is_no_run_is_refused(tmp_path):
    with pytest.raises(DataError):
        compare_runs([tmp_path / "x"])


def test_no_run_compares_to_nothing():
    assert compare_runs([]) == []
