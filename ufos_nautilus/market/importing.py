"""Import a recording into a catalog: streamed, checked, all or nothing, and never twice."""

import shutil
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl

from ufos_nautilus.errors import DataError, LimitExceededError
from ufos_nautilus.limits import (
    CATALOG_FILE_ROWS,
    CATALOG_ROWS_PER_FILE_MAX,
    IMPORT_BUFFER_ROWS_MAX,
    IMPORT_SOURCES_MAX,
)
from ufos_nautilus.market.catalog import Catalog
from ufos_nautilus.market.instruments import InstrumentSpec
from ufos_nautilus.market.manifest import (
    MANIFEST_PATH,
    Dataset,
    DefectEntry,
    FileEntry,
    Source,
    TableEntry,
    dataset_id,
    describe_source,
    file_sha256,
)
from ufos_nautilus.market.recording import Batch, Recording, TableKind
from ufos_nautilus.market.tables import TableFile, write_table
from ufos_nautilus.market.transaction import STAGING_PREFIX, commit, locked, roll_back

InstrumentWriter = Callable[[Path, Sequence[InstrumentSpec]], object]
"""Writes instruments in the engine's own form into a catalog directory (here: the staging directory)."""


@dataclass(frozen=True, slots=True)
class Identity:
    """What makes two imports the same; the id is a digest of the rest."""

    id: str
    format: str
    sources: tuple[Source, ...]
    options: dict[str, str]


@dataclass(frozen=True, slots=True)
class ImportReport:
    """What an import did.

    Parameters
    ----------
    dataset : Dataset
        The import as the manifest has it.
    unchanged : bool
        The same import was there already; nothing was read or written.
    elapsed_s : float
        Seconds it took, hashing included.

    """

    dataset: Dataset
    unchanged: bool
    elapsed_s: float

    @property
    def rows(self) -> int:
        """Return the rows of all tables."""
        return sum(t.rows for t in self.dataset.tables)

    @property
    def rows_per_s(self) -> float:
        """Return rows written per second; 0 for an unchanged import."""
        return 0.0 if self.unchanged or self.elapsed_s <= 0 else self.rows / self.elapsed_s


def import_recording(
    catalog_path: str | Path,
    read: Callable[[], Recording],
    *,
    sources: Sequence[Path],
    fmt: str,
    options: dict[str, str] | None = None,
    instrument_writer: InstrumentWriter | None = None,
) -> ImportReport:
    """Read a recording into the catalog at `catalog_path`, which is made where it is absent.

    Parameters
    ----------
    catalog_path : str or Path
        The catalog's directory.
    read : callable
        Opens the recording; not called where the same import is already there.
    sources : sequence of Path
        The files it reads, for the manifest and to tell repeated imports; empty for generated data.
    fmt : str
        Name of the format.
    options : dict, optional
        What else decides the result, ``name -> text``.
    instrument_writer : callable, optional
        Makes the instruments readable for the engine's own catalog class.

    Raises
    ------
    DataError
        Bad sources, rows that overlap in time with rows already there, or an instrument that differs from the one
        already there. The catalog is as it was; one made by this call is removed.

    """
    started = time.perf_counter()
    root = Path(catalog_path).resolve()
    if len(sources) > IMPORT_SOURCES_MAX:
        raise LimitExceededError(f"{len(sources):,} files in one import", expected=f"at most {IMPORT_SOURCES_MAX:,}")
    described = tuple(describe_source(path) for path in sources)
    identity = Identity(dataset_id(fmt, described, options or {}), fmt, described, options or {})
    try:
        dataset, unchanged = _import_once(root, read, identity, instrument_writer)
    except OSError as error:
        raise DataError(
            f"{error.filename or root}: {error.strerror or error}",
            expected=f"{root} to be a directory that can be written, with room for the data",
            next_step="free disk space or give another --catalog; the catalog is as it was",
        ) from error
    return ImportReport(dataset, unchanged, time.perf_counter() - started)


def _import_once(
    root: Path, read: Callable[[], Recording], identity: Identity, instrument_writer: InstrumentWriter | None
) -> tuple[Dataset, bool]:
    """Return the import and whether it was there already."""
    existed = root.exists()
    with locked(root):
        is_new = not (root / MANIFEST_PATH).is_file()
        try:
            catalog = Catalog.create(root)
            roll_back(root)
            known = catalog.manifest.dataset(identity.id)
            dataset = known or _import(catalog, read, identity, instrument_writer)
            return dataset, known is not None
        except BaseException:
            if is_new:
                _remove_new(root, existed)
            raise


def _remove_new(root: Path, existed: bool) -> None:
    shutil.rmtree(root / "ufos")
    if not existed and not any(root.iterdir()):
        root.rmdir()


def _import(
    catalog: Catalog, read: Callable[[], Recording], identity: Identity, instrument_writer: InstrumentWriter | None
) -> Dataset:
    staging = catalog.root / f"{STAGING_PREFIX}{identity.id}"
    try:
        staging.mkdir()
        dataset = _stage(catalog, staging, read(), identity, instrument_writer)
        commit(catalog.root, staging, catalog.manifest, dataset)
    except BaseException:
        roll_back(catalog.root)
        raise
    return dataset


def _stage(
    catalog: Catalog,
    staging: Path,
    recording: Recording,
    identity: Identity,
    instrument_writer: InstrumentWriter | None,
) -> Dataset:
    known = catalog.instruments()
    specs = {s.instrument_id: s for s in recording.instruments}
    new = [spec for spec in specs.values() if _is_new(spec, known)]
    writer = _StagedTables(staging, specs)
    for batch in recording.batches:
        writer.add(batch)
    tables = writer.finish()
    if not tables:
        raise DataError("the sources hold no market data", expected="at least one row", next_step="check the files")
    _refuse_overlaps(catalog, tables)
    if instrument_writer is not None and new:
        instrument_writer(staging, new)
    return Dataset(
        id=identity.id,
        format=identity.format,
        sources=identity.sources,
        options=identity.options,
        instruments=tuple(s.to_dict() for s in specs.values()),
        tables=tuple(tables),
        defects=tuple(DefectEntry.of(d) for d in recording.defects),
        facts=_plain_facts(recording.facts),
    )


def _plain_facts(facts: dict[str, Any]) -> dict[str, Any]:
    return {k: v if isinstance(v, str | int | float | bool | list | dict | None) else str(v) for k, v in facts.items()}


def _is_new(spec: InstrumentSpec, known: dict[str, InstrumentSpec]) -> bool:
    old = known.get(spec.instrument_id)
    if old is None:
        return True
    before, now = old.to_dict(), spec.to_dict()
    for name, value in now.items():
        if before[name] != value:
            raise DataError(
                f"{spec.instrument_id} has {name} {before[name]} in this catalog and {value} in the new source",
                expected="the same instrument",
                next_step="give --tick and --lot as they were, or import into another catalog",
            )
    return False


def _refuse_overlaps(catalog: Catalog, tables: Sequence[TableEntry]) -> None:
    for new in tables:
        for dataset in catalog.manifest.datasets:
            for old in dataset.tables:
                same = (old.kind, old.identifier) == (new.kind, new.identifier)
                if same and old.first_ns <= new.last_ns and new.first_ns <= old.last_ns:
                    names = ", ".join(s.name for s in dataset.sources[:3]) or dataset.format
                    raise DataError(
                        f"{new.kind} of {new.identifier} overlap in time with those from {names}",
                        expected="each moment of an instrument from one import",
                        next_step="import into another catalog, or leave the files out that are already there",
                    )


class _StagedTables:
    """Collects batches and writes a file whenever enough rows of a table, or of all, have come together."""

    def __init__(self, staging: Path, specs: dict[str, InstrumentSpec]) -> None:
        self._staging = staging
        self._specs = specs
        self._frames: dict[tuple[TableKind, str], list[pl.DataFrame]] = {}
        self._rows: dict[tuple[TableKind, str], int] = {}
        self._files: dict[tuple[TableKind, str], list[TableFile]] = {}
        self._owners: dict[tuple[TableKind, str], str] = {}
        self._last_ns: dict[tuple[TableKind, str], int] = {}

    def add(self, batch: Batch) -> None:
        """Take one batch."""
        if batch.frame.height == 0:
            return
        if batch.instrument_id not in self._specs:
            raise DataError(f"the reader gave rows of {batch.instrument_id!r} but no such instrument")
        key = (batch.kind, batch.identifier)
        self._owners[key] = batch.instrument_id
        times = batch.frame["ts_init"].to_physical()
        if times[0] < self._last_ns.get(key, times[0]):
            raise DataError(f"{batch.kind} of {batch.identifier} go back in time at {batch.frame['ts_init'][0]}")
        self._last_ns[key] = times[-1]
        self._frames.setdefault(key, []).append(batch.frame)
        self._rows[key] = self._rows.get(key, 0) + batch.frame.height
        if self._rows[key] >= CATALOG_FILE_ROWS:
            self._flush(key)
        if sum(self._rows.values()) >= IMPORT_BUFFER_ROWS_MAX:
            for other in list(self._frames):
                self._flush(other)

    def _flush(self, key: tuple[TableKind, str], *, last: bool = False) -> None:
        if not self._rows.get(key):
            return
        frame = pl.concat(self._frames[key], rechunk=True)
        # Rows of one instant stay in one file: a file boundary never splits an event.
        times = frame["ts_init"].to_physical()
        cut = frame.height if last else int(times.search_sorted(times[-1], side="left"))
        if cut == 0:
            if frame.height > CATALOG_ROWS_PER_FILE_MAX:
                raise LimitExceededError(f"{key[1]}: {frame.height:,} rows at one instant", expected="fewer per file")
            self._frames[key] = [frame]
            return
        kind, identifier = key
        spec = self._specs[self._owners[key]]
        self._files.setdefault(key, []).append(write_table(frame[:cut], self._staging, kind, identifier, spec))
        # A clone of the tail, not a view: a view would keep the whole frame in memory.
        self._frames[key] = [frame[cut:].rechunk()] if cut < frame.height else []
        self._rows[key] = frame.height - cut

    def finish(self) -> list[TableEntry]:
        """Write what is left and return the tables, sorted."""
        for key in list(self._frames):
            self._flush(key, last=True)
        return [self._entry(key, files) for key, files in sorted(self._files.items())]

    def _entry(self, key: tuple[TableKind, str], files: list[TableFile]) -> TableEntry:
        return TableEntry(
            kind=key[0],
            identifier=key[1],
            instrument_id=self._owners[key],
            rows=sum(f.rows for f in files),
            first_ns=files[0].first_ns,
            last_ns=files[-1].last_ns,
            files=tuple(
                FileEntry(
                    path=f.path.relative_to(self._staging).as_posix(),
                    rows=f.rows,
                    first_ns=f.first_ns,
                    last_ns=f.last_ns,
                    sha256=file_sha256(f.path),
                )
                for f in files
            ),
        )
