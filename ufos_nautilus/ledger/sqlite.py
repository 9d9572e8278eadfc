"""Connections to a ledger in SQLite: durable commits, and transactions that begin when told."""

import sqlite3
from pathlib import Path
from urllib.parse import quote

LEDGER_FILE = "ledger.sqlite"
BUSY_TIMEOUT_S = 10


def open_sqlite(path: Path, *, readonly: bool = False) -> sqlite3.Connection:
    """Open a ledger's file; one that is not there is made, unless it is only read."""
    target = f"file:{quote(str(path.absolute()))}?mode={'rw' if readonly else 'rwc'}"
    connection = sqlite3.connect(target, uri=True, timeout=BUSY_TIMEOUT_S, isolation_level=None)
    try:
        for pragma in ("query_only=ON",) if readonly else ("journal_mode=WAL", "synchronous=FULL"):
            connection.execute(f"PRAGMA {pragma}")
    except sqlite3.Error:
        connection.close()
        raise
    return connection
