"""The hot path of a ledger store: one batch, one transaction, one durable commit, in either database."""

import sqlite3
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from ufos_nautilus.errors import DataError
from ufos_nautilus.ledger.accounts import Account, Asset
from ufos_nautilus.ledger.journal import Entry, Head

if TYPE_CHECKING:  # the writer of SQLite does without
    from sqlalchemy.engine import Engine


class Batch(NamedTuple):
    """What one transaction adds.

    Attributes
    ----------
    before, after : Head
        Where the chain must end before, and ends after.
    assets : list of Asset
        New ones.
    accounts : list of (id, Account)
        New ones.
    entries : list of Entry
        In order.
    postings : list of tuple
        Rows of the table `postings`, from `posting_rows`.

    """

    before: Head
    after: Head
    assets: list[Asset]
    accounts: list[tuple[int, Account]]
    entries: list[Entry]
    postings: list[tuple[int, int, int, int]]

    def entry_rows(self) -> list[tuple[Any, ...]]:
        """Return rows of the table `entries`."""
        return [(e.seq, e.ts_ns, e.kind, e.ref, e.reverses, e.meta_json, e.prev_hash, e.hash) for e in self.entries]


def posting_rows(entries: Sequence[Entry], ids: Mapping[Account, int]) -> list[tuple[int, int, int, int]]:
    """Return rows of the table `postings`; `KeyError` where an account has no id yet."""
    return [
        (entry.seq, line, ids[account], amount)
        for entry in entries
        for line, (account, amount) in enumerate(entry.postings)
    ]


class Writer(Protocol):
    """Writes batches on a connection of its own."""

    def write(self, batch: Batch) -> None:
        """Write a batch durably, or raise and leave nothing of it."""
        ...

    def close(self) -> None:
        """Give the connection back."""
        ...


def writer(engine: "Engine") -> Writer:
    """Return the writer for the engine's database."""
    if engine.dialect.name != "sqlite":
        return _PostgresWriter(engine)
    raw = engine.raw_connection()
    connection: Any = raw.driver_connection
    return SqliteWriter(connection, raw.close)


class SqliteWriter:
    """Five statements on the driver's own connection; the commit waits for the disk (WAL, synchronous=FULL)."""

    def __init__(self, connection: sqlite3.Connection, give_back: Callable[[], None] | None = None) -> None:
        self._connection, self._give_back = connection, give_back
        self._cursor = connection.cursor()

    def write(self, batch: Batch) -> None:
        """Write a batch durably, or raise and leave nothing of it."""
        cursor = self._cursor
        before, after = batch.before, batch.after
        cursor.execute("BEGIN IMMEDIATE")
        try:
            cursor.execute(
                "UPDATE head SET seq = ?, hash = ?, postings = ? WHERE seq = ? AND hash = ?",
                (after.seq, after.hash, after.postings, before.seq, before.hash),
            )
            if cursor.rowcount != 1:
                raise moved_on(before)
            if batch.assets:
                cursor.executemany("INSERT INTO assets VALUES (?, ?)", batch.assets)
            if batch.accounts:
                rows = [(number, *account) for number, account in batch.accounts]
                cursor.executemany("INSERT INTO accounts VALUES (?, ?, ?, ?, ?, ?)", rows)
            cursor.executemany("INSERT INTO entries VALUES (?, ?, ?, ?, ?, ?, ?, ?)", batch.entry_rows())
            cursor.executemany("INSERT INTO postings VALUES (?, ?, ?, ?)", batch.postings)
            cursor.execute("COMMIT")
        except BaseException:
            if self._connection.in_transaction:
                cursor.execute("ROLLBACK")
            raise

    def close(self) -> None:
        """Give the connection back."""
        self._cursor.close()
        if self._give_back is not None:
            self._give_back()


class _PostgresWriter:
    """One statement and one round trip for a batch without new accounts; the commit waits for the disk."""

    STATEMENT = (
        "WITH moved AS (UPDATE head SET seq = %s, hash = %s, postings = %s WHERE seq = %s AND hash = %s RETURNING id), "
        "e AS (INSERT INTO entries SELECT n.* FROM unnest(%s::bigint[], %s::bigint[], %s::text[], %s::text[], "
        "%s::bigint[], %s::text[], %s::bytea[], %s::bytea[]) n, moved), "
        "p AS (INSERT INTO postings SELECT n.* FROM unnest(%s::bigint[], %s::int[], %s::bigint[], %s::bigint[]) n, "
        "moved) SELECT count(*) FROM moved"
    )

    def __init__(self, engine: "Engine") -> None:
        self._raw = engine.raw_connection()
        connection: Any = self._raw.driver_connection
        connection.rollback()
        connection.isolation_level = None  # the server's own: a second writer must see the head move, not fail on it
        connection.autocommit = True
        connection.execute("SET synchronous_commit TO on")
        self._connection = connection

    def write(self, batch: Batch) -> None:
        before, after = batch.before, batch.after
        values = [after.seq, after.hash, after.postings, before.seq, before.hash]
        values += _columns(batch.entry_rows(), 8) + _columns(batch.postings, 4)
        if not batch.accounts and not batch.assets:
            self._journal(values, before)
            return
        with self._connection.transaction(), self._connection.cursor() as cursor:
            # The head first: it is the lock that keeps a second writer out.
            self._journal(values, before)
            cursor.executemany("INSERT INTO assets VALUES (%s, %s)", batch.assets)
            rows = [(number, *account) for number, account in batch.accounts]
            cursor.executemany("INSERT INTO accounts VALUES (%s, %s, %s, %s, %s, %s)", rows)

    def _journal(self, values: list[Any], before: Head) -> None:
        if self._connection.execute(self.STATEMENT, values, prepare=True).fetchone()[0] != 1:
            raise moved_on(before)

    def close(self) -> None:
        if not self._connection.closed:
            self._connection.autocommit = False
        self._raw.invalidate()


def _columns(rows: Sequence[tuple[Any, ...]], width: int) -> list[list[Any]]:
    return [list(column) for column in zip(*rows, strict=True)] if rows else [[] for _ in range(width)]


def moved_on(before: Head) -> DataError:
    """Return the error of a store whose chain no longer ends where this process left it."""
    return DataError(
        f"the ledger no longer ends at entry {before.seq}: another process wrote to it",
        expected="one writer at a time",
        next_step="open the ledger again, read its balances, and make the entries anew",
    )
