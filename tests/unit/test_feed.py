"""Streaming: spans cover everything once, events stay whole, time ranges hold."""

from typing import Any

import polars as pl
import pytest

from ufos_nautilus.engine.feed import borders, chunks, require_rows
from ufos_nautilus.engine.sources import resolve_sources
from ufos_nautilus.engine.spec import DataSpec, SyntheticSpec
from ufos_nautilus.errors import DataError


@pytest.fixture(scope="module")
def sources(tmp_path_factory: pytest.TempPathFactory) -> Any:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("UFOS_GENERATED", str(tmp_path_factory.mktemp("generated")))
        return resolve_sources([DataSpec(synthetic=SyntheticSpec(params={"duration_s": 20.0}))])


@pytest.mark.parametrize("chunk_rows", [100, 333, 5_000, 10**6])
def test_spans_cover_every_row_once(sources: Any, chunk_rows: int) -> None:
    spans = borders(sources.tables, chunk_rows, None, None)
    assert all(a <= b for a, b in spans)
    assert all(spans[i][1] + 1 == spans[i + 1][0] for i in range(len(spans) - 1))
    assert sum(chunk.rows for chunk in chunks(sources.tables, spans)) == sum(t.rows for t in sources.tables)


def test_chunks_are_bounded(sources: Any) -> None:
    spans = borders(sources.tables, 500, None, None)
    most = max(chunk.rows for chunk in chunks(sources.tables, spans))
    assert most <= 1_000, "one event of the book may overshoot, no more"


def test_a_book_event_is_never_cut(sources: Any) -> None:
    def events(chunk_rows: int) -> int:
        spans = borders(sources.tables, chunk_rows, None, None)
        return sum(len(part) for c in chunks(sources.tables, spans) for part in c.lists)

    assert events(100) == events(10**6)


def test_a_time_range_is_inclusive_at_both_ends(sources: Any) -> None:
    times = pl.concat([pl.read_parquet(t.files)["ts_init"].cast(pl.Int64) for t in sources.tables]).sort()
    start, end = times[len(times) // 4], times[len(times) // 2]
    spans = borders(sources.tables, 300, start, end)
    expected = times.is_between(start, end).sum()
    assert sum(chunk.rows for chunk in chunks(sources.tables, spans)) == expected


def test_an_empty_range_is_an_error(sources: Any) -> None:
    with pytest.raises(DataError, match="holds no rows"):
        require_rows(borders(sources.tables, 100, 1, 2), "the run")
