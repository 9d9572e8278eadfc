"""Tables of a run stay small in memory, keep their order, and stop at their limit."""

from decimal import Decimal
from pathlib import Path

import polars as pl
import pytest

from ufos_nautilus.engine import spill
from ufos_nautilus.engine.spill import SpillTable
from ufos_nautilus.run_schemas import SCHEMAS


def row(i: int) -> tuple[object, ...]:
    return (i * 10**9, "SIM", "USDT", f"{i}.123456789012", None, "0")


def test_rows_come_back_in_order_from_memory_and_from_parts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spill, "PART_ROWS", 10)
    table = SpillTable("equity", tmp_path, rows_max=1_000)
    for i in range(95):
        table.append(row(i))
    frame = pl.read_parquet(table.close())
    assert dict(frame.schema) == SCHEMAS["equity"]
    assert frame["equity"].to_list() == [Decimal(f"{i}.123456789012") for i in range(95)]
    assert frame["balance"].null_count() == 95
    assert [p.name for p in tmp_path.iterdir()] == ["equity.parquet"]


def test_an_empty_table_still_has_its_columns(tmp_path: Path) -> None:
    frame = pl.read_parquet(SpillTable("fills", tmp_path, rows_max=1).close())
    assert frame.is_empty()
    assert dict(frame.schema) == SCHEMAS["fills"]


def test_the_limit_bites_and_is_counted(tmp_path: Path) -> None:
    table = SpillTable("equity", tmp_path, rows_max=3)
    for i in range(5):
        table.append(row(i))
    assert table.dropped == 2
    assert pl.read_parquet(table.close()).height == 3
