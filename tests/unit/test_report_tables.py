"""Reading a stored run: what is absent is empty, what is damaged is refused."""

import json
from decimal import Decimal

import polars as pl
import pytest

from tests.run_factory import INSTRUMENT, INSTRUMENT_DATA, START, empty_run, make_run, market_maker_rows, write_run
from ufos_nautilus import limits
from ufos_nautilus.errors import DataError, LimitExceededError
from ufos_nautilus.report import RunTables
from ufos_nautilus.run_schemas import SCHEMAS


@pytest.fixture
def run(tmp_path):
    return make_run(tmp_path, minutes=2)


def test_a_stored_run_is_read_with_its_types_and_instruments(run):
    tables = RunTables.load(run)
    for name, schema in SCHEMAS.items():
        assert dict(getattr(tables, name).schema) == schema
    assert tables.run_id == "r1"
    assert tables.spec["seed"] == 7
    assert tables.instruments[INSTRUMENT].tick_size == Decimal("0.10")
    assert tables.currencies() == ["USDT"]
    start_ns = int(START.timestamp()) * 10**9
    span = tables.span_ns
    assert span is not None
    assert start_ns <= span[0] < span[1] <= start_ns + 121 * 10**9


def test_a_run_without_tables_and_spec_is_read_as_empty(run):
    for path in [*run.glob("*.parquet"), run / "spec.json"]:
        path.unlink()
    tables = RunTables.load(run)
    assert all(getattr(tables, name).is_empty() for name in SCHEMAS)
    assert tables.spec == {}
    assert tables.span_ns is None


def test_rows_come_in_order_of_time_however_they_were_stored(tmp_path):
    rows = market_maker_rows(1)
    rows["equity"].reverse()
    write_run(tmp_path / "r", rows)
    assert RunTables.load(tmp_path / "r").equity["ts"].is_sorted()


def test_a_table_of_nulls_only_takes_the_types_of_its_columns(tmp_path):
    run = empty_run(tmp_path)
    pl.DataFrame({name: [] for name in SCHEMAS["fills"]}).write_parquet(run / "fills.parquet")
    assert dict(RunTables.load(run).fills.schema) == SCHEMAS["fills"]


def test_the_instruments_of_a_result_may_be_a_table_by_id(tmp_path):
    write_run(tmp_path / "r", {}, instruments={INSTRUMENT: INSTRUMENT_DATA})
    assert list(RunTables.load(tmp_path / "r").instruments) == [INSTRUMENT]


def test_a_folder_that_is_no_run_is_refused(tmp_path):
    with pytest.raises(DataError, match=r"holds no result\.json"):
        RunTables.load(tmp_path / "nowhere")


def test_a_damaged_table_is_refused_by_name(run):
    (run / "fills.parquet").write_bytes(b"PAR1 and then nothing")
    with pytest.raises(DataError, match=r"fills\.parquet cannot be read"):
        RunTables.load(run)


def test_a_table_with_a_missing_column_is_refused_by_name(run):
    pl.read_parquet(run / "equity.parquet").drop("balance", "account").write_parquet(run / "equity.parquet")
    with pytest.raises(DataError, match=r"equity\.parquet has no column account, balance"):
        RunTables.load(run)


@pytest.mark.parametrize(
    ("text", "problem"), [("{", "is not JSON"), ("[1]", "holds a list"), ("\xff\xfe", "is not JSON")]
)
def test_a_damaged_result_is_refused(run, text, problem):
    (run / "result.json").write_text(text, encoding="latin-1")
    with pytest.raises(DataError, match=problem):
        RunTables.load(run)


def test_an_instrument_that_cannot_be_read_is_refused(run):
    result = json.loads((run / "result.json").read_text())
    result["instruments"] = [{"instrument_id": INSTRUMENT}]
    (run / "result.json").write_text(json.dumps(result))
    with pytest.raises(DataError, match="instruments cannot be read"):
        RunTables.load(run)


def test_a_result_beyond_the_limit_is_refused_unread(run, monkeypatch):
    monkeypatch.setattr(limits, "RUN_JSON_BYTES_MAX", 100)
    with pytest.raises(LimitExceededError, match=r"result\.json has"):
        RunTables.load(run)
