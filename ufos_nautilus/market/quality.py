"""Quality checks of market data: what is wrong with a table or a catalog, how often and where."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

import polars as pl

from ufos_nautilus.limits import CHECK_CHUNK_ROWS
from ufos_nautilus.market.catalog import Catalog
from ufos_nautilus.market.manifest import Dataset, TableEntry, file_sha256
from ufos_nautilus.market.quality_book import BookCheck
from ufos_nautilus.market.quality_rows import BarCheck, Finding, Findings, QuoteCheck, RowCheck, TradeCheck
from ufos_nautilus.market.recording import TableKind

RULES: Final = {
    "bad_bar": "error: low above open or close, or high below",
    "clock_shift": "error: ts_event after ts_init, so received before it happened",
    "crossed": "error above 0.1 % of rows (warning below): bid above ask",
    "crossed_book": "error above 0.1 % of events (warning below): best bid above best ask after an event",
    "duplicate": "error for bars and trades: same time, or same trade id within 100,000 rows; warning for equal rows",
    "file_changed": "error: a file is not what was imported",
    "file_missing": "error: a file is gone",
    "gap": "warning: silence longer than 60 s and than 50 times the 99th percentile of intervals",
    "jump": "warning: a close more than 25 % from the one before",
    "locked": "info: bid equal to ask",
    "locked_book": "info: best bid equal to best ask after an event",
    "missing_bar": "warning: a step longer than the commonest one (of daily bars: than five days)",
    "non_positive": "error: a price, or the size of a trade, not above zero",
    "one_sided": "warning: a quote with one side empty",
    "one_sided_book": "warning: one side of the book empty after an event, once both were there",
    "outlier": "warning: more than 1 % and 15 median absolute deviations from the median of the 101 rows around it",
    "time_backwards": "error: ts_init before the row above",
    "unfinished_event": "error: the last event of a book has no end flag",
    "unknown_order": "warning: an update or delete of a level or order that is not in the book",
    "zero_volume": "warning: a bar without volume",
}
"""Finding -> severity and rule."""

_CHECKS: Final[dict[TableKind, type[RowCheck]]] = {
    "order_book_deltas": BookCheck,
    "quotes": QuoteCheck,
    "trades": TradeCheck,
    "bars": BarCheck,
}
_IMPORT_WARNINGS: Final = frozenset({"sequence_gap", "unsynchronised_depth", "trade_id_gap"})


def check_table(
    kind: TableKind, table: pl.DataFrame | pl.LazyFrame, progress: Callable[[int], None] | None = None
) -> list[Finding]:
    """Check one table, `limits.CHECK_CHUNK_ROWS` rows at a time.

    Parameters
    ----------
    kind : TableKind
        What its columns are, see `tables.SCHEMAS`.
    table : pl.DataFrame or pl.LazyFrame
        Rows in the order the engine would see them; defects are expected.
    progress : callable, optional
        Called with the number of rows checked since the last call.

    Returns
    -------
    list of Finding
        Sorted by severity, then name; empty for a table without findings. `RULES` states them all.

    """
    return _check(kind, _chunks(table.lazy()), progress)


def _check(kind: TableKind, chunks: Iterator[pl.DataFrame], progress: Callable[[int], None] | None) -> list[Finding]:
    check = _CHECKS[kind]()
    for chunk in chunks:
        check.feed(chunk)
        if progress:
            progress(chunk.height)
    return check.finish()


def _chunks(table: pl.LazyFrame) -> Iterator[pl.DataFrame]:
    offset = 0
    while (chunk := table.slice(offset, CHECK_CHUNK_ROWS).collect()).height:
        yield chunk
        offset += chunk.height


def check_catalog(catalog: Catalog, progress: Callable[[int], None] | None = None) -> list[tuple[TableEntry, Finding]]:
    """Check every table of a catalog, that its files are those imported, and recall what the import found.

    Parameters
    ----------
    catalog : Catalog
        Opened catalog.
    progress : callable, optional
        Called with the number of rows checked since the last call.

    Returns
    -------
    list of (TableEntry, Finding)
        A catalog with a finding of severity ``"error"`` is defective.

    """
    found: list[tuple[TableEntry, Finding]] = []
    for table in catalog.tables():
        broken = _check_files(catalog.root, table)
        found += [(table, finding) for finding in broken]
        if broken:
            continue
        chunks = (c for f in table.files for c in _chunks(pl.scan_parquet(catalog.root / f.path)))
        found += [(table, finding) for finding in _check(table.kind, chunks, progress)]
    for dataset in catalog.manifest.datasets:
        found += [(dataset.tables[0], finding) for finding in _import_findings(dataset)]
    return found


def _check_files(root: Path, table: TableEntry) -> list[Finding]:
    findings = Findings()
    for file in table.files:
        path = root / file.path
        if not path.is_file():
            findings.add("file_missing", "error", 1, [file.path])
        elif file_sha256(path) != file.sha256:
            findings.add("file_changed", "error", 1, [file.path])
    return findings.sorted()


def _import_findings(dataset: Dataset) -> Iterator[Finding]:
    for defect in dataset.defects:
        severity = "warning" if defect.code in _IMPORT_WARNINGS else "info"
        yield Finding(f"import:{defect.code}", severity, defect.count, (defect.action, *defect.examples))
