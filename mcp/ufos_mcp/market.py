"""Catalogs as the server sees them: found below one folder, looked up by name, never by path."""

import difflib
import os
import re
import threading
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from ufos_nautilus.errors import DataError, LimitExceededError, SpecError, UfosError
from ufos_nautilus.limits import MCP_CATALOGS_MAX

if TYPE_CHECKING:
    from ufos_nautilus.market.catalog import Catalog
    from ufos_nautilus.market.instruments import InstrumentSpec
    from ufos_nautilus.market.manifest import TableEntry

SYMBOL: Final = r"^[A-Za-z0-9._/^=:+-]{1,64}$"
"""An instrument id with its venue, for example BTCUSDT-PERP.BINANCE or AUD/USD.SIM."""
CATALOGS: Final = "catalogs"
DERIVED: Final = "bar-quotes-"
"""Catalogs that runs make from the bars of others; they hold nothing of their own."""
GENERATED: Final = "generated/"
"""Catalogs that runs made for themselves; those that somebody imported come first."""
MANIFEST: Final = "ufos/manifest.json"
LOOK_AGAIN_S: Final = 1.0
Stamp = tuple[int, int]
"""Time of change and size of a manifest: another stamp, another content."""


@dataclass(frozen=True, slots=True)
class Found:
    """A catalog that was opened, and the stamp its manifest had."""

    name: str
    catalog: "Catalog"
    stamp: Stamp
    instruments: Mapping[str, "InstrumentSpec"]
    tables: Mapping[str, Sequence["TableEntry"]]
    """Tables by instrument; an instrument without any has an empty list."""


class Market:
    """All catalogs below ``<root>/catalogs``, at most two folders deep.

    Parameters
    ----------
    root : Path
        The server's folder.

    """

    def __init__(self, root: Path) -> None:
        self._folder = root / CATALOGS
        self._opened: dict[str, Found] = {}
        self._stamps: dict[str, Stamp] = {}
        self._looked = 0.0
        self._lock = threading.Lock()

    def stamps(self) -> Mapping[str, Stamp]:
        """Return name -> stamp of every catalog, looked at once a second at most."""
        now = time.monotonic()
        if now - self._looked > LOOK_AGAIN_S or not self._looked:
            self._stamps, self._looked = self._look(), now
        return self._stamps

    def catalog(self, name: str) -> Found:
        """Return a catalog by its name.

        Raises
        ------
        SpecError
            There is none of that name; names the nearest.

        """
        stamps = self.stamps()
        if name not in stamps:
            raise SpecError(f"there is no catalog {name[:80]!r}", expected=_nearest(name, list(stamps)))
        with self._lock:
            found = self._opened.get(name)
            if found is None or found.stamp != stamps[name]:
                found = self._opened[name] = self._open(name, stamps[name])
            return found

    def all(self) -> list[Found]:
        """Return every catalog that can be read, by name."""
        out = []
        for name in sorted(self.stamps()):
            try:
                out.append(self.catalog(name))
            except UfosError:
                continue  # `catalog` says why, to whoever asks for it by name
        return out

    def find(self, symbol: str, catalog: str = "") -> Found:
        """Return the catalog that holds an instrument: the named one, or the last changed one that somebody imported.

        Raises
        ------
        SpecError
            The instrument is nowhere; names the nearest.

        """
        if not re.fullmatch(SYMBOL, symbol) or ".." in symbol or symbol.startswith(("/", ".")):
            raise SpecError(f"{symbol[:80]!r} is no instrument id", expected="SYMBOL.VENUE, for example AAPL.XNAS")
        places = [self.catalog(catalog)] if catalog else self.all()
        holding = [f for f in places if symbol in f.instruments]
        if not holding:
            known = sorted({s for f in places for s in f.instruments})
            where = f"catalog {catalog!r}" if catalog else "any catalog"
            raise SpecError(f"there is no instrument {symbol!r} in {where}", expected=_nearest(symbol, known))
        return max(holding, key=lambda f: (not f.name.startswith(GENERATED), f.stamp, f.name))

    def universe(self, catalogs: Sequence[Found] | None = None) -> list[dict[str, Any]]:
        """Return every instrument with its tables, of every catalog or of some."""
        rows = []
        for found in self.all() if catalogs is None else catalogs:
            for symbol, spec in found.instruments.items():
                tables = found.tables[symbol]
                rows.append(
                    {
                        "symbol": symbol,
                        "catalog": found.name,
                        "kind": spec.kind,
                        "currency": spec.settlement,
                        "tables": {t.kind: t.rows for t in tables},
                        "first": iso(min(t.first_ns for t in tables)) if tables else None,
                        "last": iso(max(t.last_ns for t in tables)) if tables else None,
                    }
                )
        return rows

    def overview(self, names: int, catalog: str = "") -> list[dict[str, Any]]:
        """Return each catalog with its span, its tables, and the names of its first instruments; imported ones first.

        Parameters
        ----------
        names : int
            Names of one catalog.
        catalog : str
            Only this one.

        """
        rows = []
        opened = [self.catalog(catalog)] if catalog else self.all()
        for found in sorted(opened, key=lambda f: (f.name.startswith(GENERATED), f.name)):
            tables = [t for entries in found.tables.values() for t in entries]
            counts = Counter[str]()
            for table in tables:
                counts[table.kind] += table.rows
            row: dict[str, Any] = {"catalog": found.name, "instruments": len(found.instruments), "tables": dict(counts)}
            if tables:
                row |= {"first": iso(min(t.first_ns for t in tables)), "last": iso(max(t.last_ns for t in tables))}
            rows.append(row | {"symbols": sorted(found.instruments)[:names]})
        return rows

    def _look(self) -> dict[str, Stamp]:
        stamps: dict[str, Stamp] = {}
        for depth in ("*", "*/*"):
            for path in sorted(self._folder.glob(f"{depth}/{MANIFEST}")):
                if len(stamps) >= MCP_CATALOGS_MAX:
                    return stamps
                folder = path.parent.parent
                if folder.name.startswith(DERIVED):
                    continue
                if folder.resolve().is_relative_to(self._folder.resolve()):  # a link must not lead elsewhere
                    status = os.stat(path)
                    stamps[folder.relative_to(self._folder).as_posix()] = (status.st_mtime_ns, status.st_size)
        return stamps

    def _open(self, name: str, stamp: Stamp) -> Found:
        from ufos_nautilus.market.catalog import Catalog
        from ufos_nautilus.market.manifest import read_manifest

        root = self._folder / name
        # Not `Catalog.open`: that mends what an interrupted import left, and a reader mends nothing.
        catalog = Catalog(root, read_manifest(root))
        instruments = catalog.instruments()
        tables: dict[str, list[TableEntry]] = {symbol: [] for symbol in instruments}
        for table in catalog.tables():
            tables.setdefault(table.instrument_id, []).append(table)
        return Found(name, catalog, stamp, instruments, tables)


def _nearest(name: str, known: list[str]) -> str:
    near = difflib.get_close_matches(name, known, n=3, cutoff=0.3)
    if near:
        return f"perhaps {', '.join(near)}"
    return f"one of {', '.join(known[:10])}" if known else "a catalog below catalogs/ (`ufos data import --help`)"


def iso(ns: int) -> str:
    """Return UNIX nanoseconds as ISO 8601 text with all digits."""
    seconds, rest = divmod(ns, 1_000_000_000)
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}.{rest:09d}Z"


def parse_time(text: str, name: str) -> datetime | None:
    """Return a time with its zone; None for empty text; a bare date is midnight UTC.

    Raises
    ------
    SpecError
        It is no time.

    """
    if not text:
        return None
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        raise SpecError(
            f"{name} is {text[:40]!r}", expected="ISO 8601 in UTC, for example 2024-08-09T00:00:00Z"
        ) from None
    return at if at.tzinfo else at.replace(tzinfo=UTC)


def to_ns(at: datetime) -> int:
    """Return UNIX nanoseconds."""
    delta = at.astimezone(UTC) - datetime(1970, 1, 1, tzinfo=UTC)
    return (delta.days * 86_400 + delta.seconds) * 1_000_000_000 + delta.microseconds * 1_000


def require_rows(rows: int, most: int, what: str) -> None:
    """Raise `LimitExceededError` for more rows than one request may read."""
    if rows > most:
        raise LimitExceededError(
            f"{what} has {rows:,} rows", expected=f"at most {most:,}", next_step="shorten the span"
        )


def no_table(symbol: str, wanted: str) -> DataError:
    """Return the error for an instrument without a kind of table."""
    return DataError(f"{symbol} has no {wanted}", expected="an instrument with them", next_step="describe_data")
