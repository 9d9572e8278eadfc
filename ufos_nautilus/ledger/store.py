"""The ledger on disk: SQLite embedded or PostgreSQL by URL, one schema, append-only, chained, durable per batch."""

from collections.abc import Iterator, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any, Self

import msgspec
import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError

from ufos_nautilus.errors import DataError, IntegrityError, SpecError
from ufos_nautilus.ledger import store_schema as schema
from ufos_nautilus.ledger.accounts import Account
from ufos_nautilus.ledger.journal import Chain, Entry, Head
from ufos_nautilus.ledger.migrations import LATEST, empty, require_known, upgrade
from ufos_nautilus.ledger.records import Portfolio, RiskProfile, StrategyRecord
from ufos_nautilus.ledger.state import LedgerState
from ufos_nautilus.ledger.store_append import Appender
from ufos_nautilus.ledger.store_read import read_entries
from ufos_nautilus.ledger.store_write import Writer, writer


class LedgerStore(Appender):
    """One ledger in a database. Open it with `LedgerStore.open` and close it, or use it in a `with` block.

    One process writes, any number read. An append is one transaction: when it returns, its entries are on disk; when
    the process dies before, none of them is.
    """

    def __init__(self, engine: sa.Engine, *, readonly: bool) -> None:
        super().__init__(readonly=readonly)
        self.engine = engine

    @classmethod
    def open(cls, source: str | Path, *, create: bool = True, readonly: bool = False, verify: bool = True) -> Self:
        """Open a ledger, bringing its schema up to date unless it is only read.

        Parameters
        ----------
        source : str or Path
            A database URL, a file, or a directory with a `ledger.sqlite` (see `store_schema.ledger_url`).
        create : bool
            Make the SQLite file or the PostgreSQL tables if they are not there.
        readonly : bool
            Change nothing.
        verify : bool
            Check that the journal ends where its head says; a full check does that itself.

        Raises
        ------
        DataError
            If there is no ledger there, or the database cannot be opened.
        SpecError
            If the URL cannot be used, or the schema is newer than this program.
        IntegrityError
            If the journal does not end where its head says.

        """
        url = schema.ledger_url(source, create=create and not readonly)
        engine = schema.connect(url, readonly=readonly)
        store = cls(engine, readonly=readonly)
        try:
            store._prepare(create=create)
            store._load(verify=verify)
        except DBAPIError as error:
            store.close()
            if "malformed" in _reason(error):
                raise IntegrityError(
                    f"the ledger at {source} is damaged: {_reason(error)}", next_step="restore it from a backup"
                ) from error
            raise DataError(
                f"the ledger at {source} cannot be opened: {_reason(error)}",
                expected="a ledger in SQLite or PostgreSQL",
                next_step="check the path or URL, and that the server runs",
            ) from error
        except BaseException:
            store.close()
            raise
        return store

    def _prepare(self, *, create: bool) -> None:
        with self.engine.connect() as connection:
            there = sa.inspect(connection).has_table("schema_version")
            version = connection.exec_driver_sql("SELECT MAX(version) FROM schema_version").scalar() if there else 0
        require_known(version or 0)
        if version == LATEST:
            return
        if self.readonly or (not there and not create):
            raise SpecError(
                f"the ledger has schema version {version}, this program reads {LATEST}" if there else "no ledger there",
                expected="a ledger of this version",
                next_step="open it once for writing to bring it up to date",
            )
        with self._begin() as connection:
            if connection.dialect.name == "postgresql":
                connection.exec_driver_sql("SELECT pg_advisory_xact_lock(7264518)")
            upgrade(connection.exec_driver_sql, connection.dialect.name)

    def _load(self, *, verify: bool) -> None:
        with self.engine.connect() as connection:
            row = connection.execute(sa.select(schema.head)).first()
            self._head = Head(row.seq, row.hash, row.postings) if row else Head()
            self._ids = {Account(*rest): number for number, *rest in connection.execute(sa.select(schema.accounts))}
            self._assets = {code: decimals for code, decimals in connection.execute(sa.select(schema.assets))}
            last = connection.execute(sa.select(sa.func.max(schema.entries.c.seq))).scalar() or 0
        if verify and (last != self._head.seq or (last and self.entry(last).hash != self._head.hash)):
            raise IntegrityError(
                f"the journal ends at entry {last}, its head says {self._head.seq}",
                expected="a journal that ends where it was left",
                next_step="`ufos ledger check` lists what differs; restore the store from a backup",
            )

    def _begin(self) -> Any:
        return self.engine.execution_options(write=True).begin()

    def _open_writer(self) -> Writer:
        return writer(self.engine)

    def _taken(self, entries: Sequence[Entry]) -> list[str]:
        seen: set[tuple[str, str]] = set()
        taken: list[str] = []
        with self.engine.connect() as connection:
            for entry in entries:
                key = (entry.kind, entry.ref)
                table = schema.entries.c
                same = sa.and_(table.kind == entry.kind, table.ref == entry.ref, table.ref != "")
                if entry.reverses is not None:
                    same = sa.or_(same, table.reverses == entry.reverses)
                again = entry.ref and key in seen
                if again or connection.execute(sa.select(table.seq).where(same).limit(1)).first():
                    taken.append(f"{entry.kind} {entry.ref!r}")
                seen.add(key)
        return taken

    def entries(self, after: int = 0) -> Iterator[Entry]:
        """Yield the entries after number `after`, each checked for balance, sequence, link and hash.

        Raises
        ------
        IntegrityError
            At the first entry that is not what was written.

        """
        chain = Chain(Head()) if not after else None
        with self.engine.connect() as connection:
            for entry in read_entries(connection, max(0, after - 1)):
                if chain is None:  # the entry before the first one wanted gives the hash to link to
                    chain = Chain(Head(entry.seq, entry.hash))
                    continue
                yield chain.accept(entry)

    def entry(self, seq: int) -> Entry:
        """Return one entry.

        Raises
        ------
        DataError
            If there is none.
        IntegrityError
            If it is not what was written.

        """
        with self.engine.connect() as connection:
            found = next(read_entries(connection, seq - 1, limit=1), None)
        if found is None or found.seq != seq:
            raise DataError(f"there is no entry {seq}", expected=f"1 to {self._head.seq}")
        return Chain(Head(seq - 1, found.prev_hash)).accept(found)

    def has(self, kind: str, ref: str) -> bool:
        """Tell whether something is booked, so that it is not booked again after a restart."""
        table = schema.entries.c
        with self.engine.connect() as connection:
            found = sa.select(table.seq).where(table.kind == kind, table.ref == ref, table.ref != "")
            return connection.execute(found).first() is not None

    def state(self) -> LedgerState:
        """Return the balances after all entries, read and checked from the first."""
        return LedgerState.of(self.entries())

    def put_portfolios(self, *rows: Portfolio) -> None:
        """Write portfolios; a row of the same id is replaced."""
        self._put(
            schema.portfolios,
            [
                {
                    "id": row.id,
                    "owner_name": row.owner_name,
                    "risk_profile": _json(gamma=row.risk_profile.gamma, max_drawdown=row.risk_profile.max_drawdown),
                    "nav": format(row.nav, "f"),
                    "currency": row.currency,
                }
                for row in rows
            ],
        )

    def portfolios(self) -> list[Portfolio]:
        """Return all portfolios in order of id."""
        rows: list[Portfolio] = []
        for row in self._rows(schema.portfolios):
            profile = {k: Decimal(v) for k, v in msgspec.json.decode(row.risk_profile).items()}
            rows.append(
                Portfolio(
                    id=row.id,
                    owner_name=row.owner_name,
                    risk_profile=RiskProfile(**profile),
                    nav=Decimal(row.nav),
                    currency=row.currency,
                )
            )
        return rows

    def put_strategies(self, *rows: StrategyRecord) -> None:
        """Write strategies; a row of the same id is replaced."""
        fields = ("id", "name", "logic_path")
        self._put(
            schema.strategies,
            [
                {name: getattr(row, name) for name in fields} | {"allocation_pct": format(row.allocation_pct, "f")}
                for row in rows
            ],
        )

    def strategies(self) -> list[StrategyRecord]:
        """Return all strategies in order of id."""
        return [
            StrategyRecord(
                id=row.id, name=row.name, logic_path=row.logic_path, allocation_pct=Decimal(row.allocation_pct)
            )
            for row in self._rows(schema.strategies)
        ]

    def _put(self, table: sa.Table, rows: list[dict[str, Any]]) -> None:
        if self.readonly:
            raise SpecError("the ledger was opened for reading", expected="a ledger opened for writing")
        if not rows:
            return
        with self._begin() as connection:
            connection.execute(table.delete().where(table.c.id.in_([row["id"] for row in rows])))
            connection.execute(table.insert(), rows)

    def _rows(self, table: sa.Table) -> list[Any]:
        with self.engine.connect() as connection:
            return list(connection.execute(sa.select(table).order_by(table.c.id)))

    def discard(self) -> None:
        """Take everything out of the journal again: for a run that found it empty and did not end well."""
        if self.readonly:
            raise SpecError("the ledger was opened for reading", expected="a ledger opened for writing")
        self.close()
        with self._begin() as connection:
            empty(connection.exec_driver_sql, connection.dialect.name)
        self.engine.dispose()
        self._ids, self._assets, self._head = {}, {}, Head()

    def close(self) -> None:
        """Give all connections back."""
        if self._writer is not None:
            self._writer.close()
            self._writer = None
        self.engine.dispose()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _json(**values: Decimal) -> str:
    return msgspec.json.encode({k: format(v, "f") for k, v in values.items()}, order="sorted").decode()


def _reason(error: DBAPIError) -> str:
    return str(error.orig).strip().splitlines()[0] if error.orig else str(error)
