"""Streams catalogs into an engine in time order, a bounded number of rows at a time."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from operator import attrgetter
from pathlib import Path
from typing import Any

import polars as pl
from nautilus_trader.model import NautilusDataType, OrderBookDeltas
from nautilus_trader.persistence import ParquetDataCatalog

from ufos_nautilus.engine.feed_wide import WIDE_TABLES, WRANGLERS, WideTables
from ufos_nautilus.errors import DataError

ENGINE_TYPES = {
    "order_book_deltas": NautilusDataType.OrderBookDelta,
    "quotes": NautilusDataType.QuoteTick,
    "trades": NautilusDataType.TradeTick,
    "bars": NautilusDataType.Bar,
}
FLAG_LAST = 128
FLAGS = attrgetter("flags")
MARKERS_PER_CHUNK = 4
"""Times sampled per table and chunk when chunk borders are laid out; more of them make chunks more even."""


@dataclass(frozen=True, slots=True)
class TableRef:
    """One stored table that a run replays."""

    catalog: Path
    kind: str
    identifier: str
    rows: int
    first_ns: int
    files: tuple[Path, ...]


@dataclass(frozen=True, slots=True)
class Chunk:
    """Market data of one span of time: a list per table kind, and the rows they were made of."""

    start_ns: int
    end_ns: int
    lists: list[list[Any]]
    rows: int


def to_ns(at: datetime) -> int:
    """Return UNIX nanoseconds of an aware time."""
    delta = at.astimezone(UTC) - datetime(1970, 1, 1, tzinfo=UTC)
    return (delta.days * 86_400 + delta.seconds) * 1_000_000_000 + delta.microseconds * 1_000


def borders(
    tables: Sequence[TableRef], chunk_rows: int, start_ns: int | None, end_ns: int | None
) -> list[tuple[int, int]]:
    """Lay out spans of time that hold about `chunk_rows` rows each, over all tables together.

    Returns
    -------
    list of (int, int)
        First and last nanosecond of each span, both inclusive; empty where no row lies in the range.

    """
    step = max(1, chunk_rows // (MARKERS_PER_CHUNK * max(1, len(tables))))
    marks = [] if len(tables) < WIDE_TABLES else [_marks_of_all(tables, step, start_ns, end_ns)]
    for table in tables if not marks else ():
        times = pl.scan_parquet(list(table.files)).select(pl.col("ts_init").cast(pl.Int64))
        if start_ns is not None:
            times = times.filter(pl.col("ts_init") >= start_ns)
        if end_ns is not None:
            times = times.filter(pl.col("ts_init") <= end_ns)
        sampled, last = pl.collect_all([times.gather_every(step), times.select(pl.col("ts_init").max())])
        marks.append((sampled["ts_init"], last["ts_init"][0]))
    every = pl.concat([series for series, _ in marks]).sort() if marks else pl.Series(dtype=pl.Int64)
    if every.is_empty():
        return []
    per_chunk = max(1, chunk_rows // step)
    starts = every.gather_every(per_chunk).unique(maintain_order=True).to_list()
    final = max(last for _, last in marks if last is not None)
    ends = [s - 1 for s in starts[1:]] + [final]
    return list(zip(starts, ends, strict=True))


def _marks_of_all(
    tables: Sequence[TableRef], step: int, start_ns: int | None, end_ns: int | None
) -> tuple[pl.Series, int | None]:
    """Return every `step`-th time of all tables together, and the last."""
    kinds = sorted({table.kind for table in tables})
    files = {kind: [file for table in tables if table.kind == kind for file in table.files] for kind in kinds}
    times = pl.concat(pl.scan_parquet(files[kind]).select(pl.col("ts_init").cast(pl.Int64)) for kind in kinds)
    low = start_ns if start_ns is not None else 0
    high = end_ns if end_ns is not None else 2**63 - 1
    found = times.filter(pl.col("ts_init").is_between(low, high)).collect()["ts_init"].sort()
    return found.gather_every(step), found[-1] if found.len() else None


def chunks(tables: Sequence[TableRef], spans: Sequence[tuple[int, int]]) -> Iterator[Chunk]:
    """Read one span after another; order book deltas come as one object per book event."""
    groups: dict[tuple[Path, str, str], list[str]] = {}
    for table in tables:
        # Books are read one by one: events of two books at the same instant must not mix.
        own = table.identifier if table.kind == "order_book_deltas" else ""
        groups.setdefault((table.catalog, table.kind, own), []).append(table.identifier)
    wide: dict[tuple[Path, str, str], WideTables] = {}
    for (path, kind, own), identifiers in list(groups.items()):
        if spans and len(identifiers) >= WIDE_TABLES and kind in WRANGLERS:
            named = [t for t in tables if (t.catalog, t.kind) == (path, kind)]
            wide[path, kind, own] = WideTables(kind, named)
    catalogs = {path: ParquetDataCatalog(str(path.resolve())) for path, kind, own in groups}
    for start, end in spans:
        lists, rows = [], 0
        for (path, kind, own), identifiers in groups.items():
            if (path, kind, own) in wide:
                found = wide[path, kind, own].between(start, end)
                rows += sum(map(len, found))
                lists += found
                continue
            # Its other way of opening files takes half as much time again, and memory that grows with their number.
            objects = catalogs[path].query(
                ENGINE_TYPES[kind], identifiers, start=start, end=end, optimize_file_loading=False
            )
            rows += len(objects)
            if objects:
                lists.append(batch_deltas(objects) if kind == "order_book_deltas" else objects)
        yield Chunk(start, end, lists, rows)


def batch_deltas(deltas: list[Any]) -> list[OrderBookDeltas]:
    """Group deltas of one book into events, each ending with the delta flagged last.

    Spans end between two instants and all deltas of an event share one, so no event is ever cut.
    """
    instrument_id = deltas[0].instrument_id
    ends = [i for i, flags in enumerate(map(FLAGS, deltas), 1) if flags & FLAG_LAST]
    if not ends or ends[-1] != len(deltas):
        ends.append(len(deltas))
    return [OrderBookDeltas(instrument_id, deltas[a:b]) for a, b in zip([0, *ends], ends, strict=False)]


def require_rows(spans: Sequence[tuple[int, int]], what: str) -> None:
    """Raise `DataError` where a run would have no data at all."""
    if not spans:
        raise DataError(
            f"{what} holds no rows in the chosen time range",
            expected="market data between start and end",
            next_step="`ufos data list CATALOG` shows what is there",
        )
