"""Writes a ledger as Parquet: entries, postings, balances, portfolios, strategies, and the head they belong to."""

import json
import shutil
import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import polars as pl

from ufos_nautilus.errors import DataError
from ufos_nautilus.ledger.journal import Entry, Head
from ufos_nautilus.ledger.money import from_units
from ufos_nautilus.ledger.state import LedgerState
from ufos_nautilus.ledger.store import LedgerStore
from ufos_nautilus.limits import LEDGER_EXPORT_ROWS_PER_FILE

TIME = pl.Datetime("ns", "UTC")
AMOUNT = pl.Decimal(38, 18)
ENTRIES: dict[str, Any] = {
    "seq": pl.Int64,
    "ts": TIME,
    "kind": pl.String,
    "ref": pl.String,
    "reverses": pl.Int64,
    "meta": pl.String,
    "prev_hash": pl.String,
    "hash": pl.String,
}
POSTINGS: dict[str, Any] = {
    "seq": pl.Int64,
    "line": pl.Int32,
    "ts": TIME,
    "kind": pl.String,
    "book": pl.String,
    "asset": pl.String,
    "role": pl.String,
    "venue": pl.String,
    "item": pl.String,
    "units": pl.Int64,
    "amount": AMOUNT,
}
BALANCES: dict[str, Any] = {
    "book": pl.String,
    "asset": pl.String,
    "role": pl.String,
    "venue": pl.String,
    "item": pl.String,
    "units": pl.Int64,
    "amount": AMOUNT,
}


def export(store: LedgerStore, folder: Path, *, rows_per_file: int = LEDGER_EXPORT_ROWS_PER_FILE) -> dict[str, int]:
    """Write all of a ledger into a new folder, checking every entry on the way.

    Files are ``entries-NNNN.parquet`` and ``postings-NNNN.parquet`` (as many as needed), ``balances.parquet``,
    ``portfolios.parquet``, ``strategies.parquet`` and ``ledger.json`` with the head. The folder appears when all of
    them are there.

    Parameters
    ----------
    store : LedgerStore
        The ledger.
    folder : Path
        Must not exist; its parent must.
    rows_per_file : int
        Rows of one file of entries or postings.

    Returns
    -------
    dict
        Rows written, by table.

    Raises
    ------
    DataError
        If the folder exists or cannot be made.
    IntegrityError
        If an entry is not what was written; then nothing is left behind.

    """
    if folder.exists() or not folder.parent.is_dir():
        raise DataError(f"{folder} exists already or has no parent", expected="a new folder in an existing one")
    parts = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
    try:
        counts = _write(store, parts, rows_per_file)
        parts.chmod(0o755)
        parts.rename(folder)
    except BaseException:
        shutil.rmtree(parts, ignore_errors=True)
        raise
    return counts


def _write(store: LedgerStore, folder: Path, rows_per_file: int) -> dict[str, int]:
    state = LedgerState()
    end = Head()

    def applied() -> Iterable[Entry]:
        nonlocal end
        for entry in store.entries():
            state.apply(entry)
            end = Head(entry.seq, entry.hash, end.postings + len(entry.postings))
            yield entry

    entries = _Files(folder, "entries", ENTRIES, rows_per_file)
    postings = _Files(folder, "postings", POSTINGS, rows_per_file)
    for entry in applied():
        entries.add(
            (
                entry.seq,
                entry.ts_ns,
                entry.kind,
                entry.ref,
                entry.reverses,
                entry.meta_json,
                entry.prev_hash.hex(),
                entry.hash.hex(),
            )
        )
        for line, (account, units) in enumerate(entry.postings):
            amount = from_units(units, state.assets[account.asset])
            postings.add((entry.seq, line, entry.ts_ns, entry.kind, *account, units, amount))
    balances = [
        (*account, units, from_units(units, state.assets[account.asset]))
        for account, units in sorted(state.balances.items())
    ]
    _frame(balances, BALANCES).write_parquet(folder / "balances.parquet", compression="zstd")
    portfolios = [
        (p.id, p.owner_name, p.risk_profile.gamma, p.risk_profile.max_drawdown, p.nav, p.currency)
        for p in store.portfolios()
    ]
    fields: dict[str, Any] = {"id": pl.String, "owner_name": pl.String, "gamma": AMOUNT, "max_drawdown": AMOUNT}
    fields |= {"nav": AMOUNT, "currency": pl.String}
    _frame(portfolios, fields).write_parquet(folder / "portfolios.parquet", compression="zstd")
    strategies = [(s.id, s.name, s.logic_path, s.allocation_pct) for s in store.strategies()]
    fields = {"id": pl.String, "name": pl.String, "logic_path": pl.String, "allocation_pct": AMOUNT}
    _frame(strategies, fields).write_parquet(folder / "strategies.parquet", compression="zstd")
    counts = {
        "entries": entries.close(),
        "postings": postings.close(),
        "balances": len(balances),
        "portfolios": len(portfolios),
        "strategies": len(strategies),
    }
    about = {"head": {"seq": end.seq, "hash": end.hash.hex(), "postings": end.postings}, "rows": counts}
    (folder / "ledger.json").write_text(json.dumps(about, indent=1, sort_keys=True) + "\n", "utf-8")
    return counts


class _Files:
    """Rows of one table, written to a file whenever there are enough."""

    def __init__(self, folder: Path, name: str, fields: dict[str, Any], rows_per_file: int) -> None:
        self.folder, self.name, self.fields, self.rows_per_file = folder, name, fields, rows_per_file
        self.rows: list[tuple[Any, ...]] = []
        self.files = self.count = 0

    def add(self, row: tuple[Any, ...]) -> None:
        """Add one row."""
        self.rows.append(row)
        if len(self.rows) >= self.rows_per_file:
            self._flush()

    def close(self) -> int:
        """Write what is left and return how many rows there were; an empty table has one empty file."""
        if self.rows or not self.files:
            self._flush()
        return self.count

    def _flush(self) -> None:
        path = self.folder / f"{self.name}-{self.files:04d}.parquet"
        _frame(self.rows, self.fields).write_parquet(path, compression="zstd")
        self.count += len(self.rows)
        self.files += 1
        self.rows = []


def _frame(rows: Sequence[tuple[Any, ...]], fields: dict[str, Any]) -> pl.DataFrame:
    raw = {name: pl.Int64 if kind == TIME else kind for name, kind in fields.items()}
    frame = pl.DataFrame(rows, schema=raw, orient="row")
    return frame.with_columns(pl.col(name).cast(TIME) for name, kind in fields.items() if kind == TIME)
