"""Reads entries out of a store, a bounded number at a time, and refuses rows that do not fit together."""

from collections.abc import Iterator

import sqlalchemy as sa

from ufos_nautilus.errors import IntegrityError
from ufos_nautilus.ledger import store_schema as schema
from ufos_nautilus.ledger.accounts import Account
from ufos_nautilus.ledger.journal import Entry, Posting
from ufos_nautilus.limits import LEDGER_READ_ROWS


def read_entries(connection: sa.Connection, after: int = 0, limit: int | None = None) -> Iterator[Entry]:
    """Yield entries in order of number, as they are stored; hashes and balance are the caller's to check.

    Parameters
    ----------
    connection : Connection
        One transaction, so that all entries are of one moment.
    after : int
        Number after which to begin.
    limit : int, optional
        How many at most; all of them unless given.

    Raises
    ------
    IntegrityError
        If postings have no entry, no account or a wrong line number.

    """
    names = {number: Account(*rest) for number, *rest in connection.execute(sa.select(schema.accounts))}
    table, lines = schema.entries, schema.postings
    left = limit
    while left is None or left > 0:
        size = LEDGER_READ_ROWS if left is None else min(left, LEDGER_READ_ROWS)
        chosen = sa.select(table).where(table.c.seq > after).order_by(table.c.seq).limit(size)
        rows = connection.execute(chosen).all()
        if not rows:
            return
        last = rows[-1].seq
        wanted = sa.select(lines).where(lines.c.seq > after, lines.c.seq <= last).order_by(lines.c.seq, lines.c.line)
        by_entry: dict[int, list[Posting]] = {row.seq: [] for row in rows}
        for seq, line, account, amount in connection.execute(wanted):
            kept = by_entry.get(seq)
            if kept is None or line != len(kept) or account not in names:
                raise IntegrityError(
                    f"entry {seq}: posting {line} has no entry, no account or a line missing before it",
                    expected="postings as they were written",
                    next_step="restore the store from a backup",
                )
            kept.append(Posting(names[account], amount))
        for row in rows:
            yield Entry(
                row.seq,
                row.ts_ns,
                row.kind,
                row.ref,
                tuple(by_entry[row.seq]),
                row.meta,
                row.reverses,
                row.prev_hash,
                row.hash,
            )
        after = last
        left = None if left is None else left - len(rows)


def count_postings(connection: sa.Connection) -> int:
    """Return how many postings the store has, whether they belong to an entry or not."""
    return connection.execute(sa.select(sa.func.count()).select_from(schema.postings)).scalar() or 0
