"""What the file readers share: opening files, strict CSV, local times, options, defect counts."""

import datetime as dt
import gzip
import zipfile
from pathlib import Path

import polars as pl
import pytest

from ufos_adapters.files import sources
from ufos_nautilus import limits
from ufos_nautilus.errors import DataError, LimitExceededError, SpecError
from ufos_nautilus.market.recording import Defect, ReadOptions

SCHEMA = {"n": pl.Int64(), "name": pl.String()}


def source(data: bytes) -> sources.Source:
    return sources.Source(Path("rows.csv"), "", data)


def test_plain_gzip_and_zip_files_give_the_same_text(tmp_path: Path) -> None:
    data = b"1,a\n2,b\n"
    (tmp_path / "a.csv").write_bytes(data)
    (tmp_path / "a.csv.gz").write_bytes(gzip.compress(data))
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("inside.csv", data)
    opened = [sources.open_source(tmp_path / name) for name in ("a.csv", "a.csv.gz", "a.zip")]
    assert [o.data for o in opened] == [data] * 3
    assert [o.where for o in opened] == ["a.csv", "a.csv.gz", "a.zip:inside.csv"]


@pytest.mark.parametrize("suffix", [".gz", ".zip"])
def test_a_truncated_archive_is_refused_by_name(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"rows{suffix}"
    if suffix == ".gz":
        path.write_bytes(gzip.compress(b"1,a\n" * 1000)[:-20])
    else:
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("rows.csv", b"1,a\n" * 1000)
        path.write_bytes(path.read_bytes()[:-30])
    with pytest.raises(DataError, match=f"rows{suffix} is truncated") as caught:
        sources.open_source(path)
    assert "fetch the file again" in caught.value.next_step


@pytest.mark.parametrize("name", ["empty.csv", "empty.csv.gz"])
def test_an_empty_file_is_refused(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(gzip.compress(b"") if name.endswith("gz") else b"\n")
    with pytest.raises(DataError, match=f"{name} is empty"):
        sources.open_source(tmp_path / name)


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="can't be read"):
        sources.open_source(tmp_path / "absent.csv")


def test_an_archive_of_several_files_is_refused(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "two.zip", "w") as archive:
        archive.writestr("a.csv", "1")
        archive.writestr("b.csv", "1")
    with pytest.raises(DataError, match="holds 2 files"):
        sources.open_source(tmp_path / "two.zip")


def test_a_file_larger_than_the_limit_when_unpacked_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "SOURCE_BYTES_MAX", 1000)
    (tmp_path / "bomb.csv.gz").write_bytes(gzip.compress(b"0" * 1001))
    with pytest.raises(LimitExceededError, match="longer than 1,000 bytes"):
        sources.open_source(tmp_path / "bomb.csv.gz")
    (tmp_path / "fits.csv.gz").write_bytes(gzip.compress(b"0" * 1000))
    assert len(sources.open_source(tmp_path / "fits.csv.gz").data) == 1000


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (b"1,a\nx,b\n", "rows.csv line 2: n is 'x'"),
        (b"1,a\n2,b\n3\n", "rows.csv line 3 has 1 fields"),
        (b"1,a\n2,b,c\n", "rows.csv line 2 has 3 fields"),
        (b"1,a\n,b\n", "rows.csv line 2: n is ''"),
        (b"1,a\n\n3,c\n", "rows.csv line 2 is empty"),
        (b"1,a\n\x80\xff\x00", "rows.csv line 2 has 1 fields"),
    ],
)
def test_a_bad_line_is_named(text: bytes, problem: str) -> None:
    with pytest.raises(DataError) as caught:
        sources.read_csv(source(text), SCHEMA)
    assert caught.value.problem == problem
    assert caught.value.next_step


def test_optional_fields_may_be_empty_and_quotes_are_plain_text() -> None:
    rows = sources.read_csv(source(b'1,\n2,"b\n'), SCHEMA, optional=("name",))
    assert rows.rows() == [(1, None), (2, '"b')]


def test_new_york_times_follow_daylight_saving() -> None:
    local = pl.Series(
        [dt.datetime(2024, 3, 8, 9, 30), dt.datetime(2024, 3, 11, 9, 30), dt.datetime(2024, 11, 3, 1, 30)]
    )
    utc = sources.to_utc(local, "America/New_York", "rows.csv")
    assert utc.dtype == pl.Datetime("ns", "UTC")
    assert utc.dt.strftime("%d %H:%M").to_list() == ["08 14:30", "11 13:30", "03 05:30"]


def test_a_time_the_clock_skipped_is_refused() -> None:
    with pytest.raises(DataError, match="does not exist in America/New_York"):
        sources.to_utc(pl.Series([dt.datetime(2024, 3, 10, 2, 30)]), "America/New_York", "rows.csv")


def test_an_unknown_time_zone_is_refused() -> None:
    with pytest.raises(SpecError, match="no time zone 'Mars/Base'"):
        sources.to_utc(pl.Series([dt.datetime(2024, 3, 10)]), "Mars/Base", "rows.csv")


def test_the_day_is_found_in_a_file_name() -> None:
    day = dt.date(2013, 10, 8)
    assert sources.day_in_name(Path("20131008_quote.zip")) == day
    assert sources.day_in_name(Path("AAPL_2013-10-08_34200000.csv")) == day
    assert sources.day_in_name(Path("quote.zip"), also="20131008_bac.csv") == day
    for name in ("quote.zip", "20131399_quote.zip", "120131008.zip"):
        with pytest.raises(DataError, match="carries no day"):
            sources.day_in_name(Path(name))


def test_options_a_reader_does_not_know_are_refused() -> None:
    with pytest.raises(SpecError, match="lobster has no option 'venu'") as caught:
        sources.check_options(ReadOptions(extra={"venu": "X"}), "lobster", ("venue",))
    assert "venue" in caught.value.expected


@pytest.mark.parametrize("text", ["", "abc", "0", "-1", "nan", "inf"])
def test_a_tick_size_that_is_no_positive_number_is_refused(text: str) -> None:
    with pytest.raises(SpecError, match="tick size"):
        sources.decimal_option("tick size", text)


def test_defects_of_one_code_are_counted_together_with_few_examples() -> None:
    found: list[Defect] = []
    log = sources.DefectLog(found)
    log.add("gap", 0, "kept", ["never"])
    log.add("gap", 4, "kept", ["a", "b", "c", "d"])
    log.add("other", 1, "dropped", ["x"])
    log.add("gap", 3, "kept", ["e", "f", "g"])
    assert found == [Defect("gap", 7, "kept", ("a", "b", "c", "d", "e")), Defect("other", 1, "dropped", ("x",))]
    assert len(found[0].examples) == limits.DEFECT_EXAMPLES_MAX
