"""Tables of the experiment store, and how text is searched in them."""

import re
import sqlite3
from pathlib import Path
from typing import Final

from ufos_nautilus.errors import DataError
from ufos_nautilus.limits import EXPERIMENT_LOCK_WAIT_S

STORE_VERSION: Final = 1
"""Raised when a store of an older version can no longer be read."""
APPLICATION_ID: Final = 0x55464F53
"""Marks the database file as ours."""

_TABLES: Final = """
CREATE TABLE experiments (
    id TEXT PRIMARY KEY, hypothesis TEXT NOT NULL, model TEXT NOT NULL, knowledge_cutoff TEXT NOT NULL,
    user TEXT NOT NULL, created TEXT NOT NULL
) STRICT;
CREATE TABLE runs (
    id INTEGER PRIMARY KEY, experiment TEXT NOT NULL REFERENCES experiments (id), run_id TEXT NOT NULL,
    kind TEXT NOT NULL, strategy TEXT NOT NULL, params TEXT NOT NULL, data TEXT NOT NULL, metrics TEXT NOT NULL,
    verdict TEXT NOT NULL, error TEXT NOT NULL, user TEXT NOT NULL, elapsed_s REAL NOT NULL, created TEXT NOT NULL
) STRICT;
CREATE INDEX runs_by_experiment ON runs (experiment);
CREATE INDEX runs_by_run_id ON runs (run_id);
CREATE TABLE tool_calls (
    id INTEGER PRIMARY KEY, request TEXT NOT NULL, user TEXT NOT NULL, tool TEXT NOT NULL, outcome TEXT NOT NULL,
    duration_ms REAL NOT NULL, experiment TEXT NOT NULL, created TEXT NOT NULL
) STRICT;
CREATE TABLE insights (
    id INTEGER PRIMARY KEY, kind TEXT NOT NULL, title TEXT NOT NULL, text TEXT NOT NULL, tags TEXT NOT NULL,
    importance INTEGER NOT NULL, runs TEXT NOT NULL, user TEXT NOT NULL, sha256 TEXT NOT NULL UNIQUE,
    created TEXT NOT NULL
) STRICT;
CREATE TABLE strategies (
    id INTEGER PRIMARY KEY, name TEXT NOT NULL, version INTEGER NOT NULL, spec TEXT NOT NULL, digest TEXT NOT NULL,
    parent TEXT NOT NULL, user TEXT NOT NULL, created TEXT NOT NULL, UNIQUE (name, version)
) STRICT;
CREATE VIRTUAL TABLE texts USING fts5 (
    kind UNINDEXED, ref UNINDEXED, title, body, tags, tokenize = 'porter unicode61'
);
CREATE TRIGGER experiments_stay BEFORE DELETE ON experiments BEGIN SELECT RAISE(ABORT, 'trials are never removed'); END;
CREATE TRIGGER experiments_keep BEFORE UPDATE ON experiments BEGIN SELECT RAISE(ABORT, 'trials never change'); END;
CREATE TRIGGER runs_stay BEFORE DELETE ON runs BEGIN SELECT RAISE(ABORT, 'trials are never removed'); END;
CREATE TRIGGER runs_keep BEFORE UPDATE ON runs BEGIN SELECT RAISE(ABORT, 'trials never change'); END;
"""
_WORD: Final = re.compile(r"\w+", re.UNICODE)


def open_database(path: Path) -> sqlite3.Connection:
    """Open the store, making it first where it is not there yet.

    Raises
    ------
    DataError
        The file is no such store, or another version of the product wrote it.

    """
    path.parent.mkdir(parents=True, exist_ok=True)
    connection = sqlite3.connect(path, timeout=EXPERIMENT_LOCK_WAIT_S, isolation_level=None, check_same_thread=False)
    try:
        connection.row_factory = sqlite3.Row
        connection.execute("PRAGMA foreign_keys = ON")
        connection.execute("PRAGMA trusted_schema = OFF")
        _prepare(connection, path)
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = NORMAL")
    except sqlite3.DatabaseError as error:
        connection.close()
        raise DataError(f"{path} can't be read: {error}", expected="an experiment store") from error
    except DataError:
        connection.close()
        raise
    return connection


def _prepare(connection: sqlite3.Connection, path: Path) -> None:
    connection.execute("BEGIN IMMEDIATE")
    try:
        found = connection.execute("PRAGMA user_version").fetchone()[0]
        tables = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
        if not tables:
            for statement in _statements(_TABLES):
                connection.execute(statement)
            connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
            connection.execute(f"PRAGMA user_version = {STORE_VERSION}")
        elif connection.execute("PRAGMA application_id").fetchone()[0] != APPLICATION_ID:
            raise DataError(f"{path} is another kind of database", expected="an experiment store")
        elif found != STORE_VERSION:
            raise DataError(
                f"{path} was written by version {found} of the store",
                expected=f"version {STORE_VERSION}",
                next_step="use the release that wrote it, or name another file",
            )
        connection.execute("COMMIT")
    except BaseException:
        connection.execute("ROLLBACK")
        raise


def _statements(script: str) -> list[str]:
    """Split a script; a trigger's body holds semicolons of its own."""
    out, kept = [], ""
    for part in script.split(";"):
        kept += part + ";"
        if sqlite3.complete_statement(kept):
            out.append(kept.strip())
            kept = ""
    return [s for s in out if s != ";"]


def match_expression(query: str, *, every: bool = True) -> str:
    """Return an FTS5 expression for plain words, none of which can be an operator.

    Parameters
    ----------
    query : str
        What a person or a model typed.
    every : bool
        Whether each word must be there, or any.

    """
    words = [f'"{word}"' for word in _WORD.findall(query)]
    return (" AND " if every else " OR ").join(words)
