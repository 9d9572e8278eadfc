"""Proves that a stored ledger is what was written, and that its views say what its entries say."""

from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError

from ufos_nautilus.errors import IntegrityError, UfosError
from ufos_nautilus.ledger import store_schema as schema
from ufos_nautilus.ledger.accounts import COST, POSITION
from ufos_nautilus.ledger.journal import Chain, Entry, Head, reversal_problem
from ufos_nautilus.ledger.state import LedgerState
from ufos_nautilus.ledger.store import LedgerStore
from ufos_nautilus.ledger.store_read import count_postings, read_entries
from ufos_nautilus.limits import LEDGER_PROBLEMS_MAX


@dataclass(frozen=True, slots=True)
class CheckReport:
    """What a check found.

    Parameters
    ----------
    entries, postings : int
        How many were read.
    head : str
        Hash of the last entry, hexadecimal.
    problems : tuple of str
        What is wrong, at most `LEDGER_PROBLEMS_MAX`; empty in a sound ledger.

    """

    entries: int
    postings: int
    head: str
    problems: tuple[str, ...]

    def require_sound(self) -> None:
        """Raise unless nothing is wrong.

        Raises
        ------
        IntegrityError
            With the first problems.

        """
        if self.problems:
            shown = "\n".join(f"  {problem}" for problem in self.problems[:10])
            raise IntegrityError(
                f"{len(self.problems)} things are wrong with the ledger:\n{shown}",
                expected="an unbroken chain of balanced entries",
                next_step="restore the store from a backup; entries before the first one named here are sound",
            )


def check(store: LedgerStore, expected: Head | None = None) -> CheckReport:
    """Read all entries and check everything that can be checked.

    Sequence, links, hashes, balance per asset, reversals, definitions, the head record, the register of assets, rows
    that belong to no entry and, for SQLite, the file itself.

    Parameters
    ----------
    store : LedgerStore
        Open for reading or writing.
    expected : Head, optional
        A head that was noted elsewhere before: the chain must contain it. Only this finds a tail that was cut off
        together with the head record, or a chain that was made anew from some entry on.

    """
    reading = _Reading(expected)
    try:
        with store.engine.connect() as connection:
            reading.run(connection)
    except UfosError as error:
        reading.problems.append(error.problem)
    except (DBAPIError, TypeError, ValueError) as error:
        cause = error.orig if isinstance(error, DBAPIError) else error
        reading.problems.append(f"the database cannot be read: {cause}")
    end = reading.chain.head
    return CheckReport(end.seq, end.postings, end.hash.hex(), tuple(reading.problems))


class _Reading:
    """One pass over all entries."""

    def __init__(self, expected: Head | None) -> None:
        self.expected = expected
        self.problems: list[str] = []
        self.chain = Chain()
        self.state = LedgerState()
        self.taken_back: dict[int, Entry] = {}

    def run(self, connection: sa.Connection) -> None:
        if connection.dialect.name == "sqlite":
            lines = [line for (line,) in connection.exec_driver_sql("PRAGMA integrity_check")]
            self.problems += [f"database file: {line}" for line in lines if line != "ok"]
        for entry in read_entries(connection):
            self.look_at(entry)
            if len(self.problems) >= LEDGER_PROBLEMS_MAX:
                return
        for seq, entry in self.taken_back.items():
            problem = reversal_problem(entry, next(read_entries(connection, seq - 1, limit=1), None))
            if problem:
                self.problems.append(f"entry {entry.seq}: {problem}")
        _check_ends(connection, self.chain.head, self.expected, self.problems)
        if not self.problems:
            stored = {code: decimals for code, decimals in connection.execute(sa.select(schema.assets))}
            if stored != self.state.assets:
                self.problems.append("the table of assets does not say what the entries say")

    def look_at(self, entry: Entry) -> None:
        self.problems += self.chain.problems(entry)
        if not self.problems:
            try:
                self.state.apply(entry)
            except (UfosError, KeyError, ValueError, TypeError, ArithmeticError) as error:
                self.problems.append(f"entry {entry.seq}: {getattr(error, 'problem', repr(error))}")
        if entry.reverses is not None:
            if entry.reverses in self.taken_back:
                self.problems.append(f"entry {entry.seq}: reverses entry {entry.reverses} a second time")
            self.taken_back[entry.reverses] = entry
        if self.expected is not None and (entry.seq, entry.hash) == (self.expected.seq, self.expected.hash):
            self.expected = None


def _check_ends(connection: sa.Connection, end: Head, expected: Head | None, problems: list[str]) -> None:
    rows = connection.execute(sa.select(schema.head)).all()
    if len(rows) != 1 or Head(rows[0].seq, rows[0].hash, rows[0].postings) != end:
        told = f"entry {rows[0].seq} with {rows[0].postings} postings in all" if rows else "nothing"
        problems.append(f"the chain ends at entry {end.seq} with {end.postings} postings; its head record says {told}")
    count = count_postings(connection)
    if count != end.postings:
        problems.append(f"there are {count} postings, {end.postings} of them belong to entries")
    if expected is not None and expected.seq:
        problems.append(f"no entry {expected.seq} with the hash that was noted; the chain ends at entry {end.seq}")


@dataclass(frozen=True, slots=True)
class ReplayReport:
    """Whether the stored views say what the entries say.

    Parameters
    ----------
    entries, accounts, positions : int
        What was compared.
    differences : tuple of str
        Empty where all agree.

    """

    entries: int
    accounts: int
    positions: int
    differences: tuple[str, ...]


def replay(store: LedgerStore) -> ReplayReport:
    """Make all balances anew from the entries and compare them with what the database's views add up.

    Raises
    ------
    IntegrityError
        If an entry is not what was written.

    """
    with store.engine.connect() as connection:
        chain, state = Chain(), LedgerState()
        for entry in read_entries(connection):
            state.apply(chain.accept(entry))
        summed = {
            "/".join(row[:5]): (row.units, row.decimals) for row in connection.execute(sa.select(schema.balances))
        }
        inventory = {
            f"{row.book}/{row.symbol}": (row.net_position, row.cost)
            for row in connection.execute(sa.select(schema.inventory_ledger))
        }
    folded = {"/".join(account): (units, state.assets[account.asset]) for account, units in state.balances.items()}
    held = {f"{a.book}/{a.item}": (0, 0) for a in state.balances if a.role in (POSITION, COST)}
    held |= {
        f"{book}/{item}": (h.quantity, h.cost) for (book, item), h in state.holdings.items() if h.quantity or h.cost
    }
    differences = [
        f"{what} {key}: view {view.get(key)}, entries {fold.get(key)}"
        for what, view, fold in (("account", summed, folded), ("position", inventory, held))
        for key in sorted(view.keys() | fold.keys())
        if view.get(key) != fold.get(key)
    ]
    return ReplayReport(state.entries, len(folded), len(held), tuple(differences[:LEDGER_PROBLEMS_MAX]))
