"""The manifest of a catalog: what was imported from where, what it holds and what was wrong with it."""

import hashlib
import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Final

import msgspec

from ufos_nautilus.errors import DataError, LimitExceededError
from ufos_nautilus.limits import DEFECT_EXAMPLES_MAX, MANIFEST_BYTES_MAX
from ufos_nautilus.market.instruments import InstrumentSpec
from ufos_nautilus.market.recording import Defect, TableKind

CATALOG_VERSION: Final = 1
"""Raised when a catalog of an older version can no longer be read."""
MANIFEST_PATH: Final = Path("ufos") / "manifest.json"
TEMPORARY_SUFFIX: Final = ".tmp"


class Source(msgspec.Struct, frozen=True, kw_only=True):
    """One file an import read; only its name is kept, so that a manifest is the same on every machine."""

    name: str
    sha256: str
    bytes: int


class FileEntry(msgspec.Struct, frozen=True, kw_only=True):
    """One Parquet file; `path` is relative to the catalog, times are `ts_init` in UNIX nanoseconds."""

    path: str
    rows: int
    first_ns: int
    last_ns: int
    sha256: str


class TableEntry(msgspec.Struct, frozen=True, kw_only=True):
    """One table of one identifier: an instrument id, for bars a bar type."""

    kind: TableKind
    identifier: str
    instrument_id: str
    rows: int
    first_ns: int
    last_ns: int
    files: tuple[FileEntry, ...]


class DefectEntry(msgspec.Struct, frozen=True, kw_only=True):
    """A kind of defect found at import and what was done about it."""

    code: str
    count: int
    action: str
    examples: tuple[str, ...] = ()

    @classmethod
    def of(cls, defect: Defect) -> "DefectEntry":
        """Return the stored form of a reader's defect."""
        return cls(
            code=defect.code,
            count=defect.count,
            action=defect.action,
            examples=tuple(defect.examples[:DEFECT_EXAMPLES_MAX]),
        )


class Dataset(msgspec.Struct, frozen=True, kw_only=True):
    """One import: the same sources, format and options have the same id."""

    id: str
    format: str
    sources: tuple[Source, ...]
    options: dict[str, str]
    instruments: tuple[dict[str, Any], ...]
    tables: tuple[TableEntry, ...]
    defects: tuple[DefectEntry, ...]
    facts: dict[str, Any]

    def specs(self) -> list[InstrumentSpec]:
        """Return the instruments."""
        return [InstrumentSpec.from_dict(i) for i in self.instruments]

    def rows(self, kind: TableKind) -> int:
        """Return the rows of one kind of table."""
        return sum(t.rows for t in self.tables if t.kind == kind)


class Manifest(msgspec.Struct, frozen=True, kw_only=True):
    """All imports of a catalog, in the order they were made."""

    catalog_version: int = CATALOG_VERSION
    datasets: tuple[Dataset, ...] = ()

    def dataset(self, dataset_id: str) -> Dataset | None:
        """Return the import with this id, or None."""
        return next((d for d in self.datasets if d.id == dataset_id), None)

    def instruments(self) -> dict[str, InstrumentSpec]:
        """Return every instrument by its id, sorted by id."""
        specs = {s.instrument_id: s for d in self.datasets for s in d.specs()}
        return dict(sorted(specs.items()))


class _Version(msgspec.Struct):
    catalog_version: int


def merge_tables(tables: Iterable[TableEntry]) -> list[TableEntry]:
    """Join the tables of several imports into one entry per kind and identifier, files in time order."""
    groups: dict[tuple[TableKind, str], list[TableEntry]] = {}
    for table in tables:
        groups.setdefault((table.kind, table.identifier), []).append(table)
    return [
        TableEntry(
            kind=kind,
            identifier=identifier,
            instrument_id=group[0].instrument_id,
            rows=sum(t.rows for t in group),
            first_ns=min(t.first_ns for t in group),
            last_ns=max(t.last_ns for t in group),
            files=tuple(sorted((f for t in group for f in t.files), key=lambda f: f.first_ns)),
        )
        for (kind, identifier), group in sorted(groups.items())
    ]


def dataset_id(fmt: str, sources: Sequence[Source], options: dict[str, str]) -> str:
    """Return the id of an import: a digest of its format, its sources' contents and its options."""
    identity = {"format": fmt, "sources": sorted(s.sha256 for s in sources), "options": options}
    return hashlib.sha256(msgspec.json.encode(identity, order="sorted")).hexdigest()[:16]


def file_sha256(path: Path) -> str:
    """Return the SHA-256 of a file as hex text."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def describe_source(path: Path) -> Source:
    """Hash one source file.

    Raises
    ------
    DataError
        It is absent, empty or no file.

    """
    if not path.is_file():
        raise DataError(f"there is no file {path}", expected="a file to import", next_step="check the path")
    size = path.stat().st_size
    if size == 0:
        raise DataError(f"{path.name} is empty", expected="a recording", next_step="fetch the file again")
    return Source(name=path.name, sha256=file_sha256(path), bytes=size)


def read_manifest(root: Path) -> Manifest:
    """Read the manifest of the catalog at `root`.

    Raises
    ------
    DataError
        There is none, it can't be read, or another version of the product wrote it.

    """
    path = root / MANIFEST_PATH
    if not path.is_file():
        raise DataError(
            f"{root} is no catalog",
            expected=f"a directory with {MANIFEST_PATH}",
            next_step=f"ufos data import FORMAT FILES... --catalog {root}",
        )
    if path.stat().st_size > MANIFEST_BYTES_MAX:
        raise LimitExceededError(
            f"{path} has {path.stat().st_size:,} bytes", expected=f"at most {MANIFEST_BYTES_MAX:,}"
        )
    data = path.read_bytes()
    try:
        version = msgspec.json.decode(data, type=_Version).catalog_version
        if version != CATALOG_VERSION:
            raise DataError(
                f"{root} was written by catalog version {version}",
                expected=f"version {CATALOG_VERSION}",
                next_step="import the sources again into a new catalog directory",
            )
        return msgspec.json.decode(data, type=Manifest)
    except msgspec.MsgspecError as error:
        raise DataError(
            f"{path} can't be read: {error}",
            expected="a manifest written by `ufos data import`",
            next_step="import the sources again into a new catalog directory",
        ) from error


def write_manifest(root: Path, manifest: Manifest) -> None:
    """Replace the manifest in one step: readers see the old one or the new one, also after a crash."""
    path = root / MANIFEST_PATH
    path.parent.mkdir(parents=True, exist_ok=True)
    write_durably(path, msgspec.json.format(msgspec.json.encode(manifest, order="deterministic"), indent=1))


def write_durably(path: Path, data: bytes) -> None:
    """Write a file by way of a temporary one, flushed to disk before it takes the name."""
    temporary = path.with_name(f".{path.name}{TEMPORARY_SUFFIX}")
    with temporary.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)
    sync_directory(path.parent)


def sync_directory(path: Path) -> None:
    """Flush a directory's entries to disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
