"""The tables of a ledger store for SQLAlchemy Core, and connections to either database."""

import sqlite3
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy import event
from sqlalchemy.engine import URL, Engine, make_url
from sqlalchemy.exc import ArgumentError, NoSuchModuleError

from ufos_nautilus.errors import DataError, SpecError
from ufos_nautilus.ledger.sqlite import LEDGER_FILE, open_sqlite

metadata = sa.MetaData()
assets = sa.Table("assets", metadata, sa.Column("code", sa.Text, primary_key=True), sa.Column("decimals", sa.Integer))
accounts = sa.Table(
    "accounts",
    metadata,
    sa.Column("id", sa.BigInteger, primary_key=True),
    *(sa.Column(name, sa.Text) for name in ("book", "asset", "role", "venue", "item")),
)
entries = sa.Table(
    "entries",
    metadata,
    sa.Column("seq", sa.BigInteger, primary_key=True),
    sa.Column("ts_ns", sa.BigInteger),
    sa.Column("kind", sa.Text),
    sa.Column("ref", sa.Text),
    sa.Column("reverses", sa.BigInteger),
    sa.Column("meta", sa.Text),
    sa.Column("prev_hash", sa.LargeBinary),
    sa.Column("hash", sa.LargeBinary),
)
postings = sa.Table(
    "postings",
    metadata,
    sa.Column("seq", sa.BigInteger, primary_key=True),
    sa.Column("line", sa.Integer, primary_key=True),
    sa.Column("account", sa.BigInteger),
    sa.Column("amount", sa.BigInteger),
)
head = sa.Table(
    "head",
    metadata,
    sa.Column("id", sa.BigInteger, primary_key=True),
    sa.Column("seq", sa.BigInteger),
    sa.Column("hash", sa.LargeBinary),
    sa.Column("postings", sa.BigInteger),
)
portfolios = sa.Table(
    "portfolios",
    metadata,
    sa.Column("id", sa.Text, primary_key=True),
    *(sa.Column(name, sa.Text) for name in ("owner_name", "risk_profile", "nav", "currency")),
)
strategies = sa.Table(
    "strategies",
    metadata,
    sa.Column("id", sa.Text, primary_key=True),
    *(sa.Column(name, sa.Text) for name in ("name", "logic_path", "allocation_pct")),
)
balances = sa.Table(
    "balances",
    metadata,
    *(sa.Column(name, sa.Text) for name in ("book", "asset", "role", "venue", "item")),
    sa.Column("units", sa.BigInteger),
    sa.Column("decimals", sa.Integer),
)
inventory_ledger = sa.Table(
    "inventory_ledger",
    metadata,
    sa.Column("book", sa.Text),
    sa.Column("symbol", sa.Text),
    sa.Column("net_position", sa.BigInteger),
    sa.Column("cost", sa.BigInteger),
    sa.Column("position_decimals", sa.Integer),
    sa.Column("currency", sa.Text),
    sa.Column("currency_decimals", sa.Integer),
)


def ledger_url(source: str | Path, *, create: bool = False) -> URL:
    """Return the database URL of a ledger named by URL, file or run directory.

    Parameters
    ----------
    source : str or Path
        ``postgresql://...``, ``sqlite:///...``, a file, or a directory with a `ledger.sqlite`.
    create : bool
        A file that is not there is fine.

    Raises
    ------
    DataError
        If there is no such ledger.
    SpecError
        If the URL is none that can be used.

    """
    text = str(source)
    if "://" in text:
        return _checked(text)
    path = Path(text)
    if path.is_dir():
        path = path / LEDGER_FILE
    if not path.is_file() and not (create and path.parent.is_dir()):
        raise DataError(
            f"there is no ledger at {text}",
            expected=f"a database URL, a file, or a run directory with {LEDGER_FILE}",
            next_step="`ufos runs list` shows the runs",
        )
    return URL.create("sqlite", database=str(path))


def _checked(text: str) -> URL:
    try:
        url = make_url(text)
    except ArgumentError as error:
        raise SpecError(f"{text!r} is no database URL", expected="sqlite:///FILE or postgresql://...") from error
    backend = url.get_backend_name()
    if backend not in ("sqlite", "postgresql"):
        raise SpecError(f"a ledger cannot live in {backend}", expected="SQLite or PostgreSQL")
    return url.set(drivername="postgresql+psycopg") if backend == "postgresql" else url


def connect(url: URL, *, readonly: bool = False) -> Engine:
    """Return an engine with the settings a ledger needs: durable commits, and transactions that begin when told.

    Parameters
    ----------
    url : URL
        From `ledger_url`.
    readonly : bool
        Refuse every change.

    """
    if url.get_backend_name() == "sqlite":
        return _sqlite(url, readonly=readonly)
    try:
        engine = sa.create_engine(url, isolation_level="REPEATABLE READ", pool_size=2)
    except (ImportError, NoSuchModuleError) as error:
        raise SpecError(
            "PostgreSQL needs a driver that is not installed",
            expected="psycopg 3",
            next_step="pip install 'ufos-nautilus[postgres]'",
        ) from error
    if readonly:

        @event.listens_for(engine, "connect")
        def _read_only(connection: Any, _: Any) -> None:
            connection.read_only = True

    return engine


def _sqlite(url: URL, *, readonly: bool) -> Engine:
    path = Path(url.database or "")
    if not url.database or url.database == ":memory:":
        raise SpecError("a ledger in SQLite needs a file", expected="sqlite:///FILE")
    if readonly and not path.is_file():
        raise DataError(f"there is no ledger at {path}", expected="an existing file")

    def opened() -> sqlite3.Connection:
        return open_sqlite(path, readonly=readonly)

    engine = sa.create_engine("sqlite://", creator=opened, poolclass=sa.pool.NullPool)

    @event.listens_for(engine, "begin")
    def _begin(connection: sa.Connection) -> None:
        write = connection.get_execution_options().get("write", False)
        connection.exec_driver_sql("BEGIN IMMEDIATE" if write else "BEGIN")

    return engine
