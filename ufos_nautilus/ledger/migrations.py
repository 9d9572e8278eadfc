"""The schema of a ledger store as a list of numbered steps, one text for both databases, applied in one transaction."""

from collections.abc import Callable, Sequence
from typing import Any, Final, NamedTuple

from ufos_nautilus.errors import SpecError

Execute = Callable[[str], Any]
"""Runs one SQL statement in the open transaction; what it returns has `fetchall`."""

WORDS: Final = {
    "sqlite": {
        "key": "INTEGER PRIMARY KEY",
        "bytes": "BLOB",
        "strict": "STRICT",
        "rowless": "STRICT, WITHOUT ROWID",
        "big": "INTEGER",
    },
    "postgresql": {"key": "BIGINT PRIMARY KEY", "bytes": "BYTEA", "strict": "", "rowless": "", "big": "BIGINT"},
}


class Migration(NamedTuple):
    """One step.

    Attributes
    ----------
    version : int
        1, 2, 3, ... without holes.
    name : str
        What it does.
    statements : tuple of str
        For both databases, with the words of `WORDS` in braces.
    only : dict
        More statements for one database, after the others; taken as they are.

    """

    version: int
    name: str
    statements: tuple[str, ...]
    only: dict[str, tuple[str, ...]]


def _append_only_sqlite() -> tuple[str, ...]:
    return tuple(
        f"CREATE TRIGGER {table}_no_{action.lower()} BEFORE {action} ON {table} "
        f"BEGIN SELECT RAISE(ABORT, 'the journal is append-only'); END"
        for table in ("entries", "postings")
        for action in ("UPDATE", "DELETE")
    )


def _append_only_postgresql() -> tuple[str, ...]:
    function = (
        "CREATE FUNCTION journal_is_append_only() RETURNS trigger LANGUAGE plpgsql AS "
        "$$ BEGIN RAISE EXCEPTION 'the journal is append-only'; END $$"
    )
    triggers = [
        f"CREATE TRIGGER {table}_append_only BEFORE {actions} ON {table} "
        f"FOR EACH {each} EXECUTE FUNCTION journal_is_append_only()"
        for table in ("entries", "postings")
        for actions, each in (("UPDATE OR DELETE", "ROW"),)
    ]
    truncates = [
        f"CREATE TRIGGER {table}_no_truncate BEFORE TRUNCATE ON {table} "
        "FOR EACH STATEMENT EXECUTE FUNCTION journal_is_append_only()"
        for table in ("entries", "postings")
    ]
    return (function, *triggers, *truncates)


MIGRATIONS: Final[tuple[Migration, ...]] = (
    Migration(
        1,
        "journal, accounts, head, portfolios, strategies",
        (
            "CREATE TABLE assets (code TEXT NOT NULL PRIMARY KEY, decimals INTEGER NOT NULL) {strict}",
            "CREATE TABLE accounts (id {key}, book TEXT NOT NULL, asset TEXT NOT NULL, role TEXT NOT NULL, "
            "venue TEXT NOT NULL, item TEXT NOT NULL, UNIQUE (book, asset, role, venue, item)) {strict}",
            "CREATE TABLE entries (seq {key}, ts_ns {big} NOT NULL, kind TEXT NOT NULL, ref TEXT NOT NULL, "
            "reverses {big}, meta TEXT NOT NULL, prev_hash {bytes} NOT NULL, hash {bytes} NOT NULL) {strict}",
            "CREATE UNIQUE INDEX entries_ref ON entries (kind, ref) WHERE ref <> ''",
            "CREATE UNIQUE INDEX entries_reverses ON entries (reverses) WHERE reverses IS NOT NULL",
            "CREATE TABLE postings (seq {big} NOT NULL, line INTEGER NOT NULL, account {big} NOT NULL, "
            "amount {big} NOT NULL, PRIMARY KEY (seq, line)) {rowless}",
            "CREATE TABLE head (id {key} CHECK (id = 1), seq {big} NOT NULL, hash {bytes} NOT NULL, "
            "postings {big} NOT NULL) {strict}",
            "CREATE TABLE portfolios (id TEXT NOT NULL PRIMARY KEY, owner_name TEXT NOT NULL, "
            "risk_profile TEXT NOT NULL, nav TEXT NOT NULL, currency TEXT NOT NULL) {strict}",
            "CREATE TABLE strategies (id TEXT NOT NULL PRIMARY KEY, name TEXT NOT NULL, logic_path TEXT NOT NULL, "
            "allocation_pct TEXT NOT NULL) {strict}",
        ),
        {
            "sqlite": ("INSERT INTO head VALUES (1, 0, zeroblob(32), 0)",),
            "postgresql": ("INSERT INTO head VALUES (1, 0, decode(repeat('00', 32), 'hex'), 0)",),
        },
    ),
    Migration(
        2,
        "views, and the journal refuses changes",
        (
            "CREATE VIEW balances AS SELECT a.book, a.asset, a.role, a.venue, a.item, "
            "CAST(SUM(p.amount) AS {big}) AS units, s.decimals FROM postings p "
            "JOIN accounts a ON a.id = p.account LEFT JOIN assets s ON s.code = a.asset "
            "GROUP BY a.book, a.asset, a.role, a.venue, a.item, s.decimals",
            "CREATE VIEW inventory_ledger AS SELECT b.book, b.item AS symbol, "
            "CAST(SUM(CASE WHEN b.role = 'position' THEN b.units ELSE 0 END) AS {big}) AS net_position, "
            "CAST(SUM(CASE WHEN b.role = 'cost' THEN b.units ELSE 0 END) AS {big}) AS cost, "
            "MAX(CASE WHEN b.role = 'position' THEN b.decimals END) AS position_decimals, "
            "MAX(CASE WHEN b.role = 'cost' THEN b.asset END) AS currency, "
            "MAX(CASE WHEN b.role = 'cost' THEN b.decimals END) AS currency_decimals "
            "FROM balances b WHERE b.role IN ('position', 'cost') GROUP BY b.book, b.item",
        ),
        {"sqlite": _append_only_sqlite(), "postgresql": _append_only_postgresql()},
    ),
)
LATEST: Final = MIGRATIONS[-1].version


def upgrade(execute: Execute, dialect: str, migrations: Sequence[Migration] = MIGRATIONS) -> int:
    """Bring a schema up to the last of `migrations` and return the version it has then.

    Call it inside one transaction, so that a step that fails leaves the schema as it was.

    Parameters
    ----------
    execute : callable
        Runs one statement.
    dialect : str
        ``"sqlite"`` or ``"postgresql"``.
    migrations : sequence of Migration
        In order.

    Raises
    ------
    SpecError
        If the schema was made by a newer version of this program.

    """
    execute("CREATE TABLE IF NOT EXISTS schema_version (version INTEGER NOT NULL PRIMARY KEY, name TEXT NOT NULL)")
    version = execute("SELECT COALESCE(MAX(version), 0) FROM schema_version").fetchall()[0][0]
    latest = migrations[-1].version
    require_known(version, latest)
    for migration in migrations[version:]:
        for statement in migration.statements:
            execute(statement.format(**WORDS[dialect]))
        for statement in migration.only.get(dialect, ()):
            execute(statement)
        name = migration.name.replace("'", "''")
        execute(f"INSERT INTO schema_version VALUES ({migration.version}, '{name}')")
    return latest


def empty(execute: Execute, dialect: str) -> None:
    """Take everything out of the journal, guards aside; portfolios and strategies stay. Call it in one transaction.

    For whoever found the journal empty, could not finish what belongs together, and must not leave half of it.
    """
    journal = ("entries", "postings")
    if dialect == "sqlite":
        for table in journal:
            for action in ("update", "delete"):
                execute(f"DROP TRIGGER {table}_no_{action}")
    else:
        for table in journal:
            execute(f"ALTER TABLE {table} DISABLE TRIGGER USER")
    for table in ("postings", "entries", "accounts", "assets"):
        execute(f"DELETE FROM {table}")
    zero = "zeroblob(32)" if dialect == "sqlite" else "decode(repeat('00', 32), 'hex')"
    execute(f"UPDATE head SET seq = 0, hash = {zero}, postings = 0")
    if dialect == "sqlite":
        for statement in _append_only_sqlite():
            execute(statement)
    else:
        for table in journal:
            execute(f"ALTER TABLE {table} ENABLE TRIGGER USER")


def require_known(version: int, latest: int = LATEST) -> None:
    """Refuse a schema newer than this program."""
    if version > latest:
        raise SpecError(
            f"the ledger has schema version {version}; this program knows up to {latest}",
            expected="a ledger of this version or an older one",
            next_step="upgrade ufos-nautilus",
        )
