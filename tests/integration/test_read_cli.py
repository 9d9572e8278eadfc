"""Every file format through `ufos data import`: a small good source, and bad ones that leave nothing behind."""

import gzip
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest


def lean_day(folder: Path) -> list[str]:
    path = folder / "20131008_quote.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("20131008_bac_Quote_Tick.csv", "34200000,138000,5,0,0,P,1,0\n34200000,0,0,138100,5,P,1,0\n")
    return [str(path)]


def lobster_day(folder: Path) -> list[str]:
    path = folder / "AAPL_2012-06-21_34200000_37800000_message_1.csv.gz"
    path.write_bytes(gzip.compress(b"34200.1,1,1,5,5853300,1\n34200.2,1,2,5,5853400,-1\n"))
    return [str(path)]


def minute_bars(folder: Path) -> list[str]:
    path = folder / "bars.csv"
    path.write_text("time,open,high,low,close,volume\n2022-01-01 00:00,1,2,1,2,5\n2022-01-01 00:01,2,3,1,2,5\n")
    return [str(path), "--instrument-id", "ABC.XNAS", "--tick", "0.5"]


def daily_bars(folder: Path) -> list[str]:
    path = folder / "daily.csv"
    path.write_text("date,symbol,open,high,low,close,volume\n2022-01-03,ABC,1,2,1,2,5\n2022-01-03,DEF,2,3,1,2,5\n")
    return [str(path), "--option", "venue=US"]


SOURCES: dict[str, tuple[Callable[[Path], list[str]], dict[str, Any]]] = {
    "lean-ticks": (lean_day, {"instrument_id": "BAC.XNAS", "quotes": 1}),
    "lobster": (lobster_day, {"instrument_id": "AAPL.XNAS", "deltas": 3, "quotes": 1}),
    "bars": (minute_bars, {"instrument_id": "ABC.XNAS", "bars": 2}),
    "daily": (daily_bars, {"instruments": ["ABC.US", "DEF.US"], "bars": 2}),
}


@pytest.mark.parametrize("name", SOURCES)
def test_a_small_source_is_imported_once(name: str, tmp_path: Path, cli: Any) -> None:
    make, wanted = SOURCES[name]
    args = ("data", "import", name, *make(tmp_path), "--catalog", tmp_path / "catalog", "--json")
    first = cli(*args)
    assert first.returncode == 0, first.stderr
    assert {key: first.json[key] for key in wanted} == wanted
    assert cli(*args).json["unchanged"] is True


@pytest.mark.parametrize(
    ("name", "file", "data", "problem"),
    [
        ("lean-ticks", "20131008_quote.zip", b"PK no zip", "truncated"),
        ("lobster", "AAPL_2012-06-21_1_2_message_1.csv", b"34200.1,1,1,5,5853300,1\ngarbage\n", "line 2"),
        ("databento", "x.dbn.zst", b"time,price\n", "no DBN file"),
        ("bars", "bars.csv", b"34200.1,1,1,5,5853300,1\n34200.2,1,1,5,5853300,1\n", "no column for time"),
        ("daily", "daily.parquet", b"PAR1", "can't be read as Parquet"),
    ],
)
def test_a_bad_source_leaves_nothing_behind(
    name: str, file: str, data: bytes, problem: str, tmp_path: Path, cli: Any
) -> None:
    (tmp_path / file).write_bytes(data)
    extra = ("--instrument-id", "ABC.XNAS") if name == "bars" else ()
    failed = cli("data", "import", name, tmp_path / file, *extra, "--catalog", tmp_path / "catalog", "--json")
    assert failed.returncode == 2
    assert failed.json["error"] == "DataError"
    assert file in failed.json["problem"]
    assert problem in failed.json["problem"]
    assert not (tmp_path / "catalog").exists()
