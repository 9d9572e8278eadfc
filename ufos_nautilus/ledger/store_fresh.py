"""The ledger of a run that begins: a new SQLite file, written by the driver alone.

SQLAlchemy takes a tenth of a second to import, as long as a short backtest. What a run rarely does (read entries back,
take everything out again) goes through `LedgerStore`, on the same file.
"""

import sqlite3
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Self

from ufos_nautilus.errors import DataError
from ufos_nautilus.ledger.journal import Entry, Head
from ufos_nautilus.ledger.migrations import upgrade
from ufos_nautilus.ledger.records import StrategyRecord
from ufos_nautilus.ledger.sqlite import open_sqlite
from ufos_nautilus.ledger.store_append import Appender
from ufos_nautilus.ledger.store_write import SqliteWriter, Writer

if TYPE_CHECKING:
    from ufos_nautilus.ledger.store import LedgerStore


class FreshStore(Appender):
    """A ledger in a file that this process has just made. Make it with `FreshStore.create`."""

    def __init__(self, path: Path, connection: sqlite3.Connection) -> None:
        super().__init__()
        self.path = path
        self._connection = connection

    @classmethod
    def create(cls, path: Path) -> Self:
        """Make the file and its tables.

        Raises
        ------
        DataError
            If there is a file already, or none can be made.

        """
        if path.exists():
            raise DataError(f"there is a ledger at {path} already", expected="a new file")
        try:
            connection = open_sqlite(path)
        except sqlite3.Error as error:
            raise DataError(f"no ledger can be made at {path}: {error}", expected="a folder to write to") from error
        connection.execute("BEGIN IMMEDIATE")
        upgrade(connection.execute, "sqlite")
        connection.execute("COMMIT")
        store = cls(path, connection)
        store._head = Head(*connection.execute("SELECT seq, hash, postings FROM head").fetchone())
        return store

    def entry(self, seq: int) -> Entry:
        """Return one entry; see `LedgerStore.entry`."""
        with self._reading() as store:
            return store.entry(seq)

    def put_strategies(self, *rows: StrategyRecord) -> None:
        """Write strategies; see `LedgerStore.put_strategies`."""
        values = [(row.id, row.name, row.logic_path, format(row.allocation_pct, "f")) for row in rows]
        self._connection.execute("BEGIN IMMEDIATE")
        self._connection.executemany("INSERT OR REPLACE INTO strategies VALUES (?, ?, ?, ?)", values)
        self._connection.execute("COMMIT")

    def discard(self) -> None:
        """Take everything out of the journal again: for a run that did not end well."""
        self.close()
        with self._reading(readonly=False) as store:
            store.discard()

    def close(self) -> None:
        """Close the file."""
        self._writer = None
        self._connection.close()

    def _open_writer(self) -> Writer:
        return SqliteWriter(self._connection)

    def _taken(self, entries: Sequence[Entry]) -> list[str]:
        with self._reading() as store:
            return store._taken(entries)

    def _reading(self, *, readonly: bool = True) -> "LedgerStore":
        from ufos_nautilus.ledger.store import LedgerStore

        return LedgerStore.open(self.path, create=False, readonly=readonly)
