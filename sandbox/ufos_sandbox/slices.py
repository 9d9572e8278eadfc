"""Cuts the market data of one run out of a catalog: what a container gets, and what the host audits against."""

import hashlib
import io
import threading
from collections import OrderedDict
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import polars as pl

from ufos_nautilus.errors import DataError, LimitExceededError, SpecError
from ufos_nautilus.limits import (
    PARQUET_ROW_GROUP_ROWS,
    SANDBOX_SLICE_BYTES_MAX,
    SANDBOX_SLICE_CACHE_BYTES,
    SANDBOX_SLICE_ROWS_MAX,
)
from ufos_nautilus.market.catalog import Catalog
from ufos_nautilus.market.instruments import InstrumentSpec
from ufos_nautilus.market.manifest import TableEntry
from ufos_nautilus.market.tables import TYPE_NAMES, folder_name, stamp

KINDS = ("order_book_deltas", "quotes", "trades", "bars")


@dataclass(frozen=True, slots=True, kw_only=True)
class DataRequest:
    """Which market data a run sees; it lies on the host, and only the chosen slice leaves it.

    Parameters
    ----------
    catalog : Path
        Catalog directory.
    instruments : tuple of str
        Instrument ids; empty for all.
    tables : tuple of str
        Kinds of table; empty for all.
    start, end : datetime, optional
        First and last instant, inclusive, with a time zone.

    """

    catalog: Path
    instruments: tuple[str, ...] = ()
    tables: tuple[str, ...] = ()
    start: datetime | None = None
    end: datetime | None = None

    def __post_init__(self) -> None:
        for name in ("start", "end"):
            at = getattr(self, name)
            if at is not None and at.tzinfo is None:
                raise SpecError(f"{name} has no time zone", expected="a time such as 2024-08-09T00:00:00Z")
        unknown = [t for t in self.tables if t not in KINDS]
        if unknown:
            raise SpecError(f"there is no kind of table {unknown[0]!r}", expected=", ".join(KINDS))


@dataclass(frozen=True, slots=True)
class SliceTable:
    """One table of a slice."""

    kind: str
    identifier: str
    instrument_id: str
    rows: int
    first_ns: int
    last_ns: int
    files: tuple[tuple[str, bytes], ...]
    """Path in the slice and Parquet bytes."""


@dataclass(slots=True)
class Slice:
    """The market data of one run."""

    instruments: dict[str, InstrumentSpec]
    tables: list[SliceTable]
    first_ns: int
    last_ns: int
    digest: str = ""
    _frames: dict[tuple[str, str], pl.DataFrame] = field(default_factory=dict)

    @property
    def rows(self) -> int:
        """Return rows in all."""
        return sum(t.rows for t in self.tables)

    @property
    def bytes(self) -> int:
        """Return Parquet bytes in all."""
        return sum(len(data) for t in self.tables for _, data in t.files)

    def frame(self, kind: str, identifier: str) -> pl.DataFrame:
        """Return one table as a frame in time order; empty without columns where the slice has none."""
        key = (kind, identifier)
        if key not in self._frames:
            files = [data for t in self.tables if (t.kind, t.identifier) == key for _, data in t.files]
            frames = [pl.read_parquet(io.BytesIO(data)) for data in files]
            self._frames[key] = pl.concat(frames) if frames else pl.DataFrame()
        return self._frames[key]

    def identifiers(self, kind: str, instrument_id: str) -> list[str]:
        """Return the tables of a kind that an instrument has."""
        return [t.identifier for t in self.tables if t.kind == kind and t.instrument_id == instrument_id]

    def until(self, cut_ns: int) -> "Slice":
        """Return the part of the slice up to and with an instant.

        Raises
        ------
        DataError
            Nothing lies before it.

        """
        tables = []
        for table in self.tables:
            frame = self.frame(table.kind, table.identifier)
            kept = frame.filter(pl.col("ts_init").dt.epoch("ns") <= cut_ns)
            if kept.height:
                tables.append(_table(table.kind, table.identifier, self.instruments[table.instrument_id], kept))
        if not tables:
            raise DataError("nothing of the slice lies before the cut")
        return _finish(dict(self.instruments), tables)


class SliceCache:
    """The last slices, so that many strategies over the same data cut it once."""

    def __init__(self, bytes_max: int = SANDBOX_SLICE_CACHE_BYTES) -> None:
        self._bytes_max = bytes_max
        self._kept: OrderedDict[str, Slice] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, request: DataRequest) -> Slice:
        """Return the slice of a request, cut now or before."""
        catalog = Catalog.open(request.catalog)
        names = list(request.instruments) or sorted(catalog.instruments())
        facts = [catalog.digest(names), str(catalog.root), repr(request)]
        key = hashlib.sha256("\0".join(facts).encode()).hexdigest()
        with self._lock:
            if key in self._kept:
                self._kept.move_to_end(key)
                return self._kept[key]
        made = cut(catalog, request, names)
        with self._lock:
            self._kept[key] = made
            while len(self._kept) > 1 and sum(s.bytes for s in self._kept.values()) > self._bytes_max:
                self._kept.popitem(last=False)
        return made


def cut(catalog: Catalog, request: DataRequest, names: list[str]) -> Slice:
    """Read a slice; whole files go as they are, others are cut and written anew in memory.

    Raises
    ------
    DataError, LimitExceededError
        Nothing is there, or too much.

    """
    start = _ns(request.start) if request.start else 0
    end = _ns(request.end) if request.end else 2**63 - 1
    if end <= start:
        raise SpecError("end is not after start")
    tables: list[SliceTable] = []
    instruments = {}
    for name in names:
        instruments[name] = catalog.instrument(name)
        for entry in catalog.tables(name):
            if request.tables and entry.kind not in request.tables:
                continue
            found = _cut_table(catalog, entry, instruments[name], start, end)
            if found is not None:
                tables.append(found)
                _require(sum(t.rows for t in tables), sum(len(d) for t in tables for _, d in t.files))
    if not tables:
        raise DataError(
            f"{catalog.root.name} holds no rows of {', '.join(names)} in the chosen time range",
            expected="market data between start and end",
            next_step=f"`ufos data list {catalog.root}` shows what is there",
        )
    return _finish(instruments, tables)


def _cut_table(
    catalog: Catalog, entry: TableEntry, instrument: InstrumentSpec, start: int, end: int
) -> SliceTable | None:
    files = [f for f in entry.files if f.last_ns >= start and f.first_ns <= end]
    if not files:
        return None
    if all(start <= f.first_ns and f.last_ns <= end for f in files):
        _require(sum(f.rows for f in files), sum((catalog.root / f.path).stat().st_size for f in files))
        read = tuple((f.path, (catalog.root / f.path).read_bytes()) for f in files)
        rows, first, last = sum(f.rows for f in files), files[0].first_ns, max(f.last_ns for f in files)
        return SliceTable(entry.kind, entry.identifier, entry.instrument_id, rows, first, last, read)
    at = pl.col("ts_init")
    # Compared as instants, so that row groups outside are skipped.
    low, high = (pl.lit(ns).cast(pl.Datetime("ns", "UTC")) for ns in (start, end))
    frame = (
        pl.scan_parquet([catalog.root / f.path for f in files])
        .filter(at >= low, at <= high)
        .head(SANDBOX_SLICE_ROWS_MAX + 1)
        .collect()
    )
    _require(frame.height, 0)
    return _table(entry.kind, entry.identifier, instrument, frame) if frame.height else None


def _table(kind: str, identifier: str, instrument: InstrumentSpec, frame: pl.DataFrame) -> SliceTable:
    times = frame["ts_init"].dt.epoch("ns")
    first, last = int(times[0]), int(times[-1])
    name = f"data/{kind}/{folder_name(identifier)}/{stamp(first)}_{stamp(last)}.parquet"
    metadata = {
        "instrument_id": instrument.instrument_id,
        "price_precision": str(instrument.price_precision),
        "size_precision": str(instrument.size_precision),
        "type_name": TYPE_NAMES[kind],  # pyright: ignore[reportArgumentType]
    }
    if kind == "bars":
        metadata["bar_type"] = identifier
    buffer = io.BytesIO()
    frame.write_parquet(buffer, compression="lz4", row_group_size=PARQUET_ROW_GROUP_ROWS, metadata=metadata)
    files = ((name, buffer.getvalue()),)
    return SliceTable(kind, identifier, instrument.instrument_id, frame.height, first, last, files)


def _finish(instruments: dict[str, InstrumentSpec], tables: list[SliceTable]) -> Slice:
    out = Slice(instruments, tables, 0, 0)
    _require(out.rows, out.bytes)
    digest = hashlib.sha256()
    for table in tables:
        for name, data in table.files:
            digest.update(f"{name}\0{len(data)}\0".encode() + data)
    out.digest = digest.hexdigest()
    out.first_ns, out.last_ns = min(t.first_ns for t in tables), max(t.last_ns for t in tables)
    return out


def _require(rows: int, size: int) -> None:
    if rows > SANDBOX_SLICE_ROWS_MAX or size > SANDBOX_SLICE_BYTES_MAX:
        raise LimitExceededError(
            f"the slice has {rows:,} rows and {size / 1e6:.0f} MB",
            expected=f"at most {SANDBOX_SLICE_ROWS_MAX:,} rows and {SANDBOX_SLICE_BYTES_MAX / 1e6:.0f} MB",
            next_step="choose fewer instruments, fewer tables or a shorter time range",
        )


def _ns(at: datetime) -> int:
    delta = at.astimezone(UTC) - datetime(1970, 1, 1, tzinfo=UTC)
    return (delta.days * 86_400 + delta.seconds) * 1_000_000_000 + delta.microseconds * 1_000


def guest_tables(part: Slice) -> list[dict[str, Any]]:
    """Return the tables of a slice as a request names them."""
    return [{"kind": t.kind, "identifier": t.identifier, "rows": t.rows, "first_ns": t.first_ns} for t in part.tables]
