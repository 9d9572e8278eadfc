"""A catalog: Parquet tables the engine can read, described by a manifest."""

import hashlib
from collections.abc import Iterable
from pathlib import Path
from typing import Self

import msgspec
import polars as pl

from ufos_nautilus.errors import DataError
from ufos_nautilus.market.instruments import InstrumentSpec
from ufos_nautilus.market.manifest import (
    MANIFEST_PATH,
    Manifest,
    TableEntry,
    merge_tables,
    read_manifest,
    write_manifest,
)
from ufos_nautilus.market.recording import TableKind
from ufos_nautilus.market.transaction import recover


class Catalog:
    """Market data on disk, read through its manifest.

    Parameters
    ----------
    root : Path
        The directory; also the path for the engine's own catalog class.
    manifest : Manifest
        What it holds.

    """

    def __init__(self, root: Path, manifest: Manifest) -> None:
        self.root = root
        self.manifest = manifest

    @classmethod
    def open(cls, path: str | Path) -> Self:
        """Open an existing catalog; what an interrupted import left is removed first.

        Raises
        ------
        DataError
            There is no catalog, or another version of the product wrote it.

        """
        root = Path(path).resolve()
        read_manifest(root)
        recover(root)
        return cls(root, read_manifest(root))

    @classmethod
    def create(cls, path: str | Path) -> Self:
        """Make an empty catalog, or open the one that is there.

        Raises
        ------
        DataError
            The directory holds something else.

        """
        root = Path(path).resolve()
        if (root / MANIFEST_PATH).is_file():
            return cls.open(root)
        if root.exists() and (not root.is_dir() or any(p.name != "ufos" for p in root.iterdir())):
            raise DataError(f"{root} holds something else", expected="a new or empty directory, or a catalog")
        write_manifest(root, Manifest())
        return cls(root, Manifest())

    def instruments(self) -> dict[str, InstrumentSpec]:
        """Return every instrument by id, sorted by id."""
        return self.manifest.instruments()

    def instrument(self, instrument_id: str) -> InstrumentSpec:
        """Return one instrument.

        Raises
        ------
        DataError
            The catalog does not have it.

        """
        known = self.instruments()
        if instrument_id not in known:
            names = ", ".join(list(known)[:10]) or "nothing"
            raise DataError(
                f"{self.root} has no instrument {instrument_id!r}",
                expected=f"one of: {names}{', ...' if len(known) > 10 else ''}",
                next_step=f"ufos data list {self.root}",
            )
        return known[instrument_id]

    def tables(self, instrument_id: str | None = None) -> list[TableEntry]:
        """Return one entry per kind and identifier, of one instrument or of all."""
        tables = (t for d in self.manifest.datasets for t in d.tables)
        return merge_tables(t for t in tables if instrument_id in (None, t.instrument_id))

    def files(self, kind: TableKind, identifier: str) -> list[Path]:
        """Return the Parquet files of one table, in time order; none where there is no such table."""
        entries = [t for t in self.tables() if t.kind == kind and t.identifier == identifier]
        return [self.root / f.path for t in entries for f in t.files]

    def scan(self, kind: TableKind, identifier: str) -> pl.LazyFrame:
        """Return one table as a lazy frame, in time order.

        Raises
        ------
        DataError
            There is no such table.

        """
        files = self.files(kind, identifier)
        if not files:
            raise DataError(f"{self.root} has no {kind} of {identifier!r}", next_step=f"ufos data list {self.root}")
        return pl.scan_parquet(files)

    def digest(self, instrument_ids: Iterable[str]) -> str:
        """Return a digest of what these instruments' tables came from and hold, for a run's provenance.

        It does not depend on the order of imports, on the directory's name or on other instruments.

        Raises
        ------
        DataError
            The catalog lacks one of them.

        """
        known = self.instruments()
        wanted = {i: (known.get(i) or self.instrument(i)).to_dict() for i in sorted(set(instrument_ids))}
        facts = []
        for dataset in self.manifest.datasets:
            own = (t for t in dataset.tables if t.instrument_id in wanted)
            tables = [(t.kind, t.identifier, t.rows, t.first_ns, t.last_ns) for t in own]
            if tables:
                facts.append((dataset.id, sorted(s.sha256 for s in dataset.sources), sorted(tables)))
        return hashlib.sha256(msgspec.json.encode((wanted, sorted(facts)), order="sorted")).hexdigest()
