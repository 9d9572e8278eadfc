"""Catalogs: what an import writes, that it happens once, what is refused, and what a digest depends on."""

import errno
import json
from dataclasses import replace
from decimal import Decimal

import polars as pl
import pytest

from tests.catalog_factory import SPEC, put, recording, source, trades, tree
from ufos_nautilus.errors import DataError, LimitExceededError
from ufos_nautilus.market import importing, manifest, tables
from ufos_nautilus.market.catalog import Catalog
from ufos_nautilus.market.importing import import_recording
from ufos_nautilus.market.manifest import MANIFEST_PATH
from ufos_nautilus.market.recording import Batch, Defect, Recording
from ufos_nautilus.market.transaction import locked


def test_an_import_is_described_by_the_manifest_and_readable_by_name(tmp_path):
    found = [Defect("odd_row", 9, "kept", tuple("abcdefgh"))]
    path = source(tmp_path)
    report = import_recording(
        tmp_path / "c", lambda: recording(trades([1, 2, 3]), defects=found), sources=[path], fmt="test"
    )
    assert (report.unchanged, report.rows) == (False, 3)
    catalog = Catalog.open(tmp_path / "c")
    assert catalog.instruments() == {"ABC.TEST": SPEC}
    (table,) = catalog.tables("ABC.TEST")
    assert (table.kind, table.identifier, table.rows, table.first_ns, table.last_ns) == ("trades", "ABC.TEST", 3, 1, 3)
    assert catalog.scan("trades", "ABC.TEST").collect().equals(trades([1, 2, 3]))
    (dataset,) = catalog.manifest.datasets
    assert (dataset.sources[0].name, dataset.sources[0].bytes) == ("some_rows.csv", 9)
    assert dataset.defects[0].examples == tuple("abcde")
    (file,) = catalog.files("trades", "ABC.TEST")
    assert file.name == "1970-01-01T00-00-00-000000001Z_1970-01-01T00-00-00-000000003Z.parquet"


def test_importing_the_same_again_reads_nothing_and_changes_nothing(tmp_path):
    put(tmp_path / "c", trades([1, 2]))
    before = tree(tmp_path / "c")
    again = import_recording(tmp_path / "c", lambda: pytest.fail("was read"), sources=[source(tmp_path)], fmt="test")
    assert again.unchanged
    assert again.rows == 2
    assert tree(tmp_path / "c") == before


def test_the_same_content_makes_the_same_bytes(tmp_path):
    (tmp_path / "x").mkdir()
    put(tmp_path / "c", trades([1, 2]))
    put(tmp_path / "x" / "c", trades([1, 2]))
    assert tree(tmp_path / "c") == tree(tmp_path / "x" / "c")


def test_later_times_of_the_same_instrument_are_joined(tmp_path):
    put(tmp_path / "c", trades([5, 6]), text="later")
    put(tmp_path / "c", trades([1, 2]), text="earlier")
    catalog = Catalog.open(tmp_path / "c")
    (table,) = catalog.tables()
    assert (table.rows, table.first_ns, table.last_ns, len(table.files)) == (4, 1, 6, 2)
    assert catalog.scan("trades", "ABC.TEST").collect()["ts_init"].is_sorted()


@pytest.mark.parametrize("times", [[2, 3], [0, 1], [0, 9], [2, 2]])
def test_times_that_overlap_another_import_are_refused(tmp_path, times):
    put(tmp_path / "c", trades([1, 2]))
    before = tree(tmp_path / "c")
    with pytest.raises(DataError, match=r"overlap in time with those from some_rows\.csv"):
        put(tmp_path / "c", trades(times), text="others")
    assert tree(tmp_path / "c") == before


def test_an_instrument_with_another_grid_is_refused(tmp_path):
    put(tmp_path / "c", trades([1, 2]))
    with pytest.raises(DataError, match=r"tick_size 0\.01 in this catalog and 0\.005"):
        put(
            tmp_path / "c",
            trades([5]),
            text="others",
            spec=replace(SPEC, tick_size=Decimal("0.005"), price_precision=3),
        )


@pytest.mark.parametrize(
    ("frame", "message"),
    [
        (trades([1], "10.015"), "10.015 at 1970-01-01 .* is off the price precision of 0.01"),
        (trades([3, 2]), "goes back in row 1"),
        (trades([1]).with_columns(size=tables.decimal_column(["0.5"])), "off the size precision"),
        (trades([1]).with_columns(size=tables.decimal_column(["-1"])), "size is -1"),
        (trades([1]).with_columns(aggressor_side=pl.lit("UP")), "holds 'UP'"),
        (trades([1]).with_columns(trade_id=pl.lit(None, dtype=pl.String)), "is empty in row 0"),
        (trades([1]).drop("trade_id"), "has columns"),
    ],
)
def test_frames_that_do_not_fit_the_schema_or_the_grid_are_refused(tmp_path, frame, message):
    with pytest.raises(DataError, match=message):
        put(tmp_path / "c", frame)
    assert not (tmp_path / "c").exists()


def test_batches_that_go_back_in_time_are_refused(tmp_path):
    with pytest.raises(DataError, match="go back in time"):
        put(tmp_path / "c", trades([5, 6]), trades([4]))


def test_rows_of_an_unknown_instrument_are_refused(tmp_path):
    batch = Batch("trades", "XYZ.TEST", "XYZ.TEST", trades([1]))
    with pytest.raises(DataError, match=r"XYZ\.TEST"):
        import_recording(tmp_path / "c", lambda: Recording([SPEC], iter([batch])), sources=[], fmt="test")


def test_a_recording_without_rows_is_refused(tmp_path):
    with pytest.raises(DataError, match="no market data"):
        put(tmp_path / "c")
    assert not (tmp_path / "c").exists()


def test_files_are_cut_between_instants_and_hold_few_rows(tmp_path, monkeypatch):
    monkeypatch.setattr(importing, "CATALOG_FILE_ROWS", 4)
    put(tmp_path / "c", trades([1, 2, 2]), trades([2, 2, 3]), trades([4, 5, 6, 7]))
    (table,) = Catalog.open(tmp_path / "c").tables()
    assert [(f.rows, f.first_ns, f.last_ns) for f in table.files] == [(5, 1, 2), (4, 3, 6), (1, 7, 7)]


def test_all_tables_together_are_written_out_before_they_fill_the_memory(tmp_path, monkeypatch):
    monkeypatch.setattr(importing, "IMPORT_BUFFER_ROWS_MAX", 4)
    put(tmp_path / "c", trades([1, 2]), trades([3, 4]), trades([5, 6]))
    (table,) = Catalog.open(tmp_path / "c").tables()
    assert [f.rows for f in table.files] == [3, 3]


def test_too_many_rows_of_one_instant_reach_the_limit(tmp_path, monkeypatch):
    monkeypatch.setattr(importing, "CATALOG_FILE_ROWS", 2)
    monkeypatch.setattr(importing, "CATALOG_ROWS_PER_FILE_MAX", 3)
    with pytest.raises(LimitExceededError, match="4 rows at one instant"):
        put(tmp_path / "c", trades([1, 1, 1, 1]))


def test_a_file_of_too_many_rows_reaches_the_limit(tmp_path, monkeypatch):
    monkeypatch.setattr(tables, "CATALOG_ROWS_PER_FILE_MAX", 2)
    with pytest.raises(LimitExceededError, match="3 rows for one file"):
        put(tmp_path / "c", trades([1, 2, 3]))


def test_too_many_sources_reach_the_limit(tmp_path, monkeypatch):
    monkeypatch.setattr(importing, "IMPORT_SOURCES_MAX", 1)
    with pytest.raises(LimitExceededError, match="2 files"):
        import_recording(tmp_path / "c", lambda: recording(), sources=[source(tmp_path)] * 2, fmt="test")


def test_a_manifest_that_is_too_long_reaches_the_limit(tmp_path, monkeypatch):
    put(tmp_path / "c", trades([1]))
    monkeypatch.setattr(manifest, "MANIFEST_BYTES_MAX", 10)
    with pytest.raises(LimitExceededError, match="bytes"):
        Catalog.open(tmp_path / "c")


def test_a_catalog_of_another_version_says_to_import_again(tmp_path):
    put(tmp_path / "c", trades([1]))
    path = tmp_path / "c" / MANIFEST_PATH
    path.write_text(json.dumps(json.loads(path.read_text()) | {"catalog_version": 99}))
    with pytest.raises(DataError, match="version 99") as caught:
        Catalog.open(tmp_path / "c")
    assert "import the sources again" in caught.value.next_step


@pytest.mark.parametrize("text", ["", "{", '{"catalog_version": "1"}', '{"catalog_version": 1, "datasets": 3}'])
def test_a_manifest_that_is_no_manifest_is_refused(tmp_path, text):
    put(tmp_path / "c", trades([1]))
    (tmp_path / "c" / MANIFEST_PATH).write_text(text)
    with pytest.raises(DataError, match="can't be read"):
        Catalog.open(tmp_path / "c")


def test_a_directory_without_a_manifest_is_no_catalog(tmp_path):
    with pytest.raises(DataError, match="is no catalog"):
        Catalog.open(tmp_path)


def test_a_directory_with_other_things_is_left_alone(tmp_path):
    (tmp_path / "c").mkdir()
    (tmp_path / "c" / "letter.txt").write_text("dear")
    with pytest.raises(DataError, match="holds something else"):
        put(tmp_path / "c", trades([1]))
    assert list(tree(tmp_path / "c")) == ["letter.txt"]


def test_a_path_that_cannot_be_a_directory_is_refused(tmp_path):
    (tmp_path / "c").write_text("a file")
    with pytest.raises(DataError, match="Not a directory") as caught:
        put(tmp_path / "c", trades([1]))
    assert "to be a directory" in caught.value.expected
    assert (tmp_path / "c").read_text() == "a file"


def test_a_disk_that_fails_midway_leaves_nothing(tmp_path, monkeypatch):
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(importing, "write_table", full)
    with pytest.raises(DataError, match="No space left"):
        put(tmp_path / "c", trades([1]))
    assert not (tmp_path / "c").exists()


def test_an_unknown_instrument_names_those_there_are(tmp_path):
    put(tmp_path / "c", trades([1]))
    catalog = Catalog.open(tmp_path / "c")
    with pytest.raises(DataError) as caught:
        catalog.instrument("XYZ.TEST")
    assert "ABC.TEST" in caught.value.expected
    with pytest.raises(DataError, match="has no quotes"):
        catalog.scan("quotes", "ABC.TEST")


def test_a_digest_depends_on_the_data_and_not_on_the_order_of_imports(tmp_path):
    other = replace(SPEC, instrument_id="XYZ.TEST", base="XYZ")
    for name, order in (("c", (0, 1, 2)), ("d", (2, 1, 0))):
        imports = [
            lambda root: put(root, trades([1, 2]), text="first"),
            lambda root: put(root, trades([5, 6]), text="second"),
            lambda root: put(root, trades([1]), text="other", spec=other),
        ]
        for i in order:
            imports[i](tmp_path / name)
    one, two = Catalog.open(tmp_path / "c"), Catalog.open(tmp_path / "d")
    assert one.digest(["ABC.TEST", "XYZ.TEST"]) == two.digest(["XYZ.TEST", "ABC.TEST"])
    assert one.digest(["ABC.TEST"]) != one.digest(["XYZ.TEST"])
    before = one.digest(["ABC.TEST"])
    put(tmp_path / "c", trades([9]), text="third")
    assert Catalog.open(tmp_path / "c").digest(["ABC.TEST"]) != before
    with pytest.raises(DataError):
        one.digest(["NO.TEST"])


def test_two_imports_do_not_interleave(tmp_path, monkeypatch):
    put(tmp_path / "c", trades([1]))
    monkeypatch.setattr(importing, "locked", lambda root: locked(root, wait_s=0.0))
    with locked(tmp_path / "c"), pytest.raises(DataError, match="another import"):
        put(tmp_path / "c", trades([5]), text="others")
    put(tmp_path / "c", trades([5]), text="others")


def test_readers_open_a_catalog_while_an_import_is_running(tmp_path):
    put(tmp_path / "c", trades([1]))
    staging = tmp_path / "c" / ".staging-alive"
    with locked(tmp_path / "c"):
        staging.mkdir()
        assert len(Catalog.open(tmp_path / "c").tables()) == 1
        assert staging.exists()
    Catalog.open(tmp_path / "c")
    assert not staging.exists()


@pytest.mark.parametrize("identifier", ["../up.X", "/etc.X", "", ".hidden.X", "a" * 200, "a\nb.X"])
def test_an_identifier_cannot_lead_out_of_the_catalog(identifier):
    with pytest.raises(DataError):
        tables.folder_name(identifier)


@pytest.mark.parametrize(
    ("values", "step"),
    [
        (["61800.20", "61800.30", "0"], "0.1"),
        (["5230.25", "5230.50"], "0.25"),
        (["0.15", "0.45"], "0.05"),
        (["100", "300"], "100"),
        ([1.1, 2.35], "0.05"),
        ([3, 6], "1"),
        (["1e-8"], "0.00000001"),
        (["-0.5", "0.3"], "0.1"),
    ],
)
def test_a_grid_is_found_from_the_values(values, step):
    found, precision = tables.infer_grid(pl.Series(values))
    assert found == Decimal(step)
    assert precision == tables.decimals(Decimal(step))


def test_a_grid_needs_a_value_other_than_zero():
    with pytest.raises(DataError):
        tables.infer_grid(pl.Series(["0", "0.0"]))


def test_decimals_come_out_exactly_and_text_that_is_none_is_refused():
    assert tables.decimal_column(["0.1", "61800.20"]).to_list() == [Decimal("0.1"), Decimal("61800.2")]
    assert tables.decimal_column(pl.Series([0.1, 61800.2])).to_list() == [Decimal("0.1"), Decimal("61800.2")]
    with pytest.raises(DataError, match="'nine' is no decimal number"):
        tables.decimal_column(["1", "nine"], "price")


def test_times_become_utc_nanoseconds():
    naive = pl.Series(["2024-03-10T12:00:00"]).str.to_datetime()
    zoned = naive.dt.replace_time_zone("America/New_York")
    assert tables.utc_ns(naive).dtype == tables.TIME
    assert (tables.utc_ns(zoned) - tables.utc_ns(naive)).dt.total_hours().to_list() == [4]
    assert tables.stamp(1_700_000_000_000_000_000) == "2023-11-14T22-13-20-000000000Z"
    assert tables.timestamp(1_700_000_000_000_000_001) == "2023-11-14T22:13:20.000000001Z"
