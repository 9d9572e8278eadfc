"""Bad recordings: each is refused with its place, what was expected and what to do; nothing is written."""

import gzip
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.raw_recording import RawRecording, good
from ufos_adapters.files import binance_book
from ufos_adapters.files.binance_raw import read
from ufos_nautilus import limits
from ufos_nautilus.errors import BadInputError, SpecError
from ufos_nautilus.market.importing import import_recording
from ufos_nautilus.market.recording import ReadOptions


def truncated(folder: Path) -> Path:
    path = good().write(folder / "a.gz")
    path.write_bytes(path.read_bytes()[:-20])
    return path


def damaged(folder: Path) -> Path:
    path = good().write(folder / "a.gz")
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 0xFF
    path.write_bytes(bytes(data))
    return path


def garbage(folder: Path) -> Path:
    raw = good()
    raw.lines.insert(3, "this is no message")
    return raw.write(folder / "a.gz")


def broken_json(folder: Path) -> Path:
    raw = good()
    raw.lines[4] = raw.lines[4][:-5]
    return raw.write(folder / "a.gz")


def missing_field(folder: Path) -> Path:
    raw = good()
    raw.lines[3] = raw.lines[3].replace('"B":', '"X":')
    return raw.write(folder / "a.gz")


def no_number(folder: Path) -> Path:
    raw = good()
    raw.trade(3, "12,5")
    return raw.write(folder / "a.gz")


def no_number_in_a_level(folder: Path) -> Path:
    raw = good()
    raw.depth([("cheap", "1.000")])
    return raw.write(folder / "a.gz")


def negative_size(folder: Path) -> Path:
    raw = good()
    raw.depth([("99.10", "-1.000")])
    return raw.write(folder / "a.gz")


def no_snapshot(folder: Path) -> Path:
    raw = good()
    del raw.lines[2]
    return raw.write(folder / "a.gz")


def stale_snapshot(folder: Path) -> Path:
    raw = good()
    raw.lines[2] = raw.lines[2].replace('"lastUpdateId":102', '"lastUpdateId":7')
    return raw.write(folder / "a.gz")


def gap(folder: Path) -> Path:
    raw = good()
    raw.depth([("99.60", "1.000")], skip=3)
    return raw.write(folder / "a.gz")


def gap_on_spot(folder: Path) -> Path:
    raw = good("spot")
    raw.depth([("99.60", "1.000")], skip=1)
    return raw.write(folder / "a.gz")


def gap_before_the_snapshot_but_after_its_id(folder: Path) -> Path:
    raw = RawRecording()
    raw.depth([("99.90", "5.000")], [("100.10", "5.000")])
    raw.depth([("99.80", "4.000")], skip=2)
    raw.snapshot([("99.90", "5.000")], [("100.10", "5.000")], last_id=102)
    return raw.write(folder / "a.gz")


def another_format(folder: Path) -> Path:
    path = folder / "AAPL_message_50.csv.gz"
    path.write_bytes(gzip.compress(b"34200.004241176,1,16113575,18,5853300,1\n"))
    return path


def empty(folder: Path) -> Path:
    path = folder / "a.gz"
    path.write_bytes(b"")
    return path


def empty_when_unpacked(folder: Path) -> Path:
    path = folder / "a.gz"
    path.write_bytes(gzip.compress(b""))
    return path


def absent(folder: Path) -> Path:
    return folder / "nowhere.gz"


def too_long(folder: Path) -> Path:
    raw = good()
    raw.lines.append(raw.lines[-1] + " " * limits.RAW_LINE_BYTES_MAX)
    return raw.write(folder / "a.gz")


def two_symbols(folder: Path) -> Path:
    raw = good()
    raw.symbol = "ETHUSDT"
    raw.trade(9, "10.00")
    return raw.write(folder / "a.gz")


def delivery(folder: Path) -> Path:
    return good("usdm", "BTCUSDT_241227").write(folder / "a.gz")


def clock_set_back(folder: Path) -> Path:
    raw = good()
    raw.ms -= 5_100
    raw.ticker("99.80", "100.00")
    return raw.write(folder / "a.gz")


def nothing_known(folder: Path) -> Path:
    raw = RawRecording()
    raw.add({"result": None, "id": 1})
    return raw.write(folder / "a.gz")


CASES: dict[Callable[[Path], Path], str] = {
    truncated: "truncated or damaged gzip",
    damaged: "damaged gzip",
    garbage: "a.gz line 4 is no line of a binance-raw recording",
    broken_json: "a.gz line 5 is no line",
    missing_field: "a.gz line 4 is no line",
    no_number: "a.gz line 10 is no line of a binance-raw recording: '12,5' is no price or size",
    no_number_in_a_level: "a.gz line 10",
    negative_size: "a.gz line 10 is no line of a binance-raw recording: '-1.000'",
    no_snapshot: "no depth snapshot",
    stale_snapshot: "1 depth snapshots, none of which fits",
    gap: "sequence gap in a.gz line 10",
    gap_on_spot: "sequence gap in a.gz line 10",
    gap_before_the_snapshot_but_after_its_id: "sequence gap in a.gz line 3",
    another_format: "AAPL_message_50.csv.gz line 1 is no line of a binance-raw recording",
    empty: "a.gz is empty",
    empty_when_unpacked: "a.gz is empty",
    absent: "no file",
    too_long: "line 10 is longer than",
    two_symbols: "a.gz line 10 is about ETHUSDT, those before about BTCUSDT",
    delivery: "delivery contract",
    clock_set_back: "a.gz line 10: receive time goes back by 5.000 s",
    nothing_known: "no depth, trade or bookTicker messages",
}


@pytest.mark.parametrize("make", CASES, ids=lambda make: make.__name__)
def test_a_bad_recording_is_refused_with_its_place_and_nothing_is_written(make, tmp_path):
    path = make(tmp_path)
    catalog = tmp_path / "catalog"
    with pytest.raises(BadInputError) as caught:
        import_recording(catalog, lambda: read([path], ReadOptions()), sources=[path], fmt="binance-raw")
    assert CASES[make] in caught.value.problem
    assert caught.value.expected
    assert caught.value.exit_code == 2
    assert not catalog.exists()


@pytest.mark.parametrize("make", [gap, garbage], ids=lambda make: make.__name__)
def test_a_bad_recording_leaves_a_filled_catalog_as_it_was(make, tmp_path):
    known = good("spot", "ETHUSDT").write(tmp_path / "good.gz")
    catalog = tmp_path / "catalog"
    import_recording(catalog, lambda: read([known], ReadOptions()), sources=[known], fmt="binance-raw")
    before = {p: p.read_bytes() if p.is_file() else b"" for p in catalog.rglob("*")}
    path = make(tmp_path)
    with pytest.raises(BadInputError):
        import_recording(catalog, lambda: read([path], ReadOptions()), sources=[path], fmt="binance-raw")
    assert {p: p.read_bytes() if p.is_file() else b"" for p in catalog.rglob("*")} == before


def test_prices_off_a_given_tick_are_refused(tmp_path):
    path = good().write(tmp_path / "a.gz")
    with pytest.raises(BadInputError, match="off the tick grid"):
        import_recording(
            tmp_path / "c",
            lambda: read([path], ReadOptions(tick_size="0.25")),
            sources=[path],
            fmt="binance-raw",
        )
    assert not (tmp_path / "c").exists()


@pytest.mark.parametrize(
    "options",
    [
        ReadOptions(tick_size="small"),
        ReadOptions(lot_size="-1"),
        ReadOptions(extra={"depth": "7"}),
        ReadOptions(extra={"gaps": "ignore"}),
    ],
)
def test_wrong_options_are_refused_before_anything_is_read(options):
    with pytest.raises(SpecError):
        read([Path("nowhere.gz")], options)


def test_only_so_many_updates_wait_for_a_snapshot(tmp_path, monkeypatch):
    raw = RawRecording()
    raw.depth([("99.90", "5.000")], [("100.10", "5.000")])
    for _ in range(3):
        raw.depth([("99.80", "4.000")])
    raw.snapshot([("99.90", "5.000")], [("100.10", "5.000")], last_id=102)
    path = raw.write(tmp_path / "a.gz")
    assert read([path], ReadOptions()).facts["depth_events"] == 1
    monkeypatch.setattr(binance_book, "DEPTH_BUFFER_MESSAGES_MAX", 2)
    with pytest.raises(BadInputError, match="none of which fits"):
        read([path], ReadOptions())
