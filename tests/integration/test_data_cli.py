"""`ufos data` as a person runs it: tables, JSON, exit codes."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.catalog_factory import put, trades
from tests.raw_recording import good
from ufos_nautilus.market.manifest import MANIFEST_PATH


@pytest.fixture
def recording(tmp_path: Path) -> Path:
    return good().write(tmp_path / "usdm_btcusdt_20240808.gz")


def test_import_prints_one_object_last_and_the_second_time_that_nothing_changed(
    cli: Any, recording: Path, tmp_path: Path
) -> None:
    args = ("data", "import", "binance-raw", recording, "--catalog", tmp_path / "c", "--json")
    first, second = cli(*args), cli(*args)
    assert (first.returncode, second.returncode) == (0, 0), first.stderr
    report = first.json
    assert {k: report[k] for k in ("instrument_id", "deltas", "trades", "quotes", "bars", "gaps", "crossed")} == {
        "instrument_id": "BTCUSDT-PERP.BINANCE",
        "deltas": 9,
        "trades": 2,
        "quotes": 2,
        "bars": 0,
        "gaps": 0,
        "crossed": 0,
    }
    assert report["clock_shift_ms"] == 1_270
    assert (report["first"], report["last"]) == ("2023-11-14T22:13:20.200700000Z", "2023-11-14T22:13:20.800700000Z")
    assert {d["code"] for d in report["defects"]} == {"clock_shift", "unknown_level_delete"}
    assert report["rows_per_s"] > 0
    assert (report["unchanged"], second.json["unchanged"]) == (False, True)
    assert {**second.json, "rows_per_s": 0, "unchanged": None} == {**report, "rows_per_s": 0, "unchanged": None}


def test_import_without_a_catalog_makes_one_named_after_the_format(cli: Any, recording: Path, tmp_path: Path) -> None:
    done = cli("data", "import", "binance-raw", recording, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "ufos data check catalogs/binance-raw" in done.stdout
    assert (tmp_path / "catalogs" / "binance-raw" / MANIFEST_PATH).is_file()
    listed = cli("data", "list", "--json", cwd=tmp_path)
    assert listed.json == {"catalogs": [{"catalog": "catalogs/binance-raw", "instruments": 1, "rows": 13}]}


def test_options_reach_the_reader_and_make_another_import(cli: Any, recording: Path, tmp_path: Path) -> None:
    args = ("data", "import", "binance-raw", recording, "--json", "--catalog")
    plain = cli(*args, tmp_path / "a").json
    other = cli(
        *args,
        tmp_path / "b",
        "--instrument-id",
        "XBT.X",
        "--tick",
        "0.01",
        "--lot",
        "0.0001",
        "--option",
        "gaps=resync",
    ).json
    assert other["instrument_id"] == "XBT.X"
    assert other["dataset"] != plain["dataset"]


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (("nope",), "there is no format 'nope'"),
        (("binance-raw", "--option", "gaps"), "name=value"),
        (("binance-raw", "--option", "gaps=never"), "resync"),
        (("binance-raw", "--tick", "0.07"), "off the tick grid"),
        (("binance-raw", "--instrument-id", "XBT"), "names no venue"),
        (("lobster",), "usdm_btcusdt_20240808.gz"),
    ],
)
def test_bad_input_ends_with_code_2_says_what_and_writes_nothing(
    args: tuple[str, ...], message: str, cli: Any, recording: Path, tmp_path: Path
) -> None:
    done = cli("data", "import", args[0], recording, *args[1:], "--catalog", tmp_path / "c", "--json")
    assert done.returncode == 2, done.stderr
    assert message in done.stderr
    assert set(done.json) == {"error", "problem", "expected", "next_step"}
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "c").exists()


def test_check_tells_clean_from_defective_by_its_exit_code(cli: Any, recording: Path, tmp_path: Path) -> None:
    cli("data", "import", "binance-raw", recording, "--catalog", tmp_path / "clean")
    clean = cli("data", "check", tmp_path / "clean", "--json")
    assert (clean.returncode, clean.json["defective"]) == (0, False)

    crossed = good()
    crossed.depth([("100.20", "1.000")])
    path = crossed.write(tmp_path / "crossed.gz")
    assert cli("data", "import", "binance-raw", path, "--catalog", tmp_path / "bad", "--json").json["crossed"] == 1
    bad = cli("data", "check", tmp_path / "bad", "--json")
    assert (bad.returncode, bad.json["defective"], bad.json["errors"]) == (4, True, 1)
    lines = [json.loads(line) for line in bad.stdout.splitlines()[:-1]]
    assert [x["code"] for x in lines if x["severity"] == "error"] == ["crossed_book"]
    told = cli("data", "check", tmp_path / "bad")
    assert told.returncode == 4
    assert "crossed_book" in told.stdout
    assert "defective" in told.stdout


def test_list_and_show_say_what_a_catalog_holds(cli: Any, recording: Path, tmp_path: Path) -> None:
    cli("data", "import", "binance-raw", recording, "--catalog", tmp_path / "c")
    tables = cli("data", "list", tmp_path / "c", "--json").json["tables"]
    assert [(t["table"], t["rows"]) for t in tables] == [("order_book_deltas", 9), ("quotes", 2), ("trades", 2)]
    shown = cli("data", "show", tmp_path / "c", "BTCUSDT-PERP.BINANCE", "--json").json
    assert shown["instrument"]["tick_size"] == "0.1"
    assert shown["datasets"][0]["sources"][0]["name"] == recording.name
    assert len(shown["digest"]) == 64
    for args in (("list", tmp_path / "c"), ("show", tmp_path / "c", "BTCUSDT-PERP.BINANCE")):
        told = cli("data", *args)
        assert told.returncode == 0
        assert "BTCUSDT-PERP.BINANCE" in told.stdout


@pytest.mark.parametrize("command", [("check",), ("list",), ("show", "X.Y")])
def test_what_is_no_catalog_or_of_another_version_is_refused(
    command: tuple[str, ...], cli: Any, tmp_path: Path
) -> None:
    name, *rest = command
    done = cli("data", name, tmp_path, *rest)
    assert done.returncode == 2
    assert "is no catalog" in done.stderr
    put(tmp_path / "c", trades([1]))
    path = tmp_path / "c" / MANIFEST_PATH
    path.write_text(path.read_text().replace('"catalog_version": 1', '"catalog_version": 0'))
    done = cli("data", name, tmp_path / "c", *rest)
    assert done.returncode == 2
    assert "import the sources again" in done.stderr


def test_an_unknown_instrument_is_refused(cli: Any, tmp_path: Path) -> None:
    put(tmp_path / "c", trades([1]))
    done = cli("data", "show", tmp_path / "c", "XYZ.TEST", "--json")
    assert done.returncode == 2
    assert done.json["expected"] == "one of: ABC.TEST"


@pytest.mark.parametrize("kind", ["single", "universe"])
def test_generated_markets_are_seeded_clean_and_made_once(kind: str, cli: Any, tmp_path: Path) -> None:
    args = ("data", "generate", kind, "--seed", "7", "--set", "duration_s=20", "--json", "--catalog")
    first, again = cli(*args, tmp_path / "c"), cli(*args, tmp_path / "c")
    assert first.returncode == 0, first.stderr
    assert (first.json["unchanged"], again.json["unchanged"]) == (False, True)
    assert cli(*args, tmp_path / "d").json["dataset"] == first.json["dataset"]
    files = {p.relative_to(tmp_path / "c"): p.read_bytes() for p in (tmp_path / "c").rglob("*.parquet")}
    assert files == {p.relative_to(tmp_path / "d"): p.read_bytes() for p in (tmp_path / "d").rglob("*.parquet")}
    checked = cli("data", "check", tmp_path / "c", "--json")
    assert checked.returncode == 0, checked.stdout


@pytest.mark.parametrize("pair", ["nonsense=1", "duration_s=long", "duration_s"])
def test_wrong_parameters_of_a_generated_market_are_refused(pair: str, cli: Any, tmp_path: Path) -> None:
    done = cli("data", "generate", "single", "--set", pair, "--catalog", tmp_path / "c")
    assert done.returncode == 2
    assert not (tmp_path / "c").exists()
