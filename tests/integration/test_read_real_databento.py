"""databento on the CME samples."""

from pathlib import Path

import pytest

from ufos_adapters.files.databento import read
from ufos_nautilus.errors import DataError
from ufos_nautilus.market.recording import ReadOptions
from ufos_nautilus.market.tables import validate


@pytest.fixture(scope="module")
def folder(shared_data: Path) -> Path:
    return shared_data / "cme_dbn"


def test_every_file_gives_its_rows_with_the_instruments_of_the_definitions(folder: Path) -> None:
    recording = read(sorted(folder.glob("*.zst"), reverse=True), ReadOptions())
    specs = {spec.instrument_id: spec for spec in recording.instruments}
    kinds = {name: spec.kind for name, spec in specs.items()}
    assert kinds == {
        "ESM4 P5230.XCME": "option",
        "ESM4 P5250.XCME": "option",
        "ESM4.XCME": "future",
        "ESU4.XCME": "future",
        "NQU4.XCME": "future",
    }
    assert (specs["NQU4.XCME"].multiplier, specs["ESM4 P5250.XCME"].strike) == (20, 5250)
    rows: dict[str, int] = {}
    for batch in recording.batches:
        validate(batch.frame, batch.kind, specs[batch.instrument_id])
        rows[f"{batch.kind} {batch.identifier}"] = batch.frame.height
        if batch.kind == "trades":
            assert batch.frame["trade_id"].n_unique() == batch.frame.height
    assert rows == {
        "order_book_deltas ESM4.XCME": 13_786,
        "quotes ESU4.XCME": 2_288,
        "trades ESU4.XCME": 120,
        "bars ESU4.XCME-1-MINUTE-LAST-EXTERNAL": 30,
        "bars NQU4.XCME-1-MINUTE-LAST-EXTERNAL": 30,
        "quotes ESM4 P5230.XCME": 10,
        "quotes ESM4 P5250.XCME": 10,
    }
    assert not recording.defects


def test_data_without_its_definitions_is_refused_with_the_remedy(folder: Path) -> None:
    with pytest.raises(DataError, match=r"mbp-1.*Could not resolve") as caught:
        list(read(sorted(folder.glob("futures_mbp-1*")), ReadOptions()).batches)
    assert "definition file" in caught.value.next_step


def test_a_truncated_file_is_refused_not_read_as_a_short_one(folder: Path, tmp_path: Path) -> None:
    source = next(folder.glob("futures_mbp-1*"))
    cut = tmp_path / source.name
    cut.write_bytes(source.read_bytes()[:-5_000])
    with pytest.raises(DataError, match="truncated or damaged"):
        read([*folder.glob("*definition*"), cut], ReadOptions())
