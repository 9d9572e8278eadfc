"""The ledger as its keeper uses it: post as things happen, write in batches, know the balances at any time."""

from collections import Counter
from collections.abc import Callable, Sequence
from typing import Protocol

from ufos_nautilus.errors import DataError, RunFailedError
from ufos_nautilus.ledger.accounts import Asset
from ufos_nautilus.ledger.contracts import Contract
from ufos_nautilus.ledger.journal import Draft, Entry, Head, check_draft, reversal_problem, seal
from ufos_nautilus.ledger.recipes import definitions
from ufos_nautilus.ledger.state import LedgerState
from ufos_nautilus.limits import LEDGER_BATCH_ENTRIES_MAX


class Journal(Protocol):
    """Where entries are kept: a store, or memory."""

    @property
    def head(self) -> Head:
        """Return where the chain ends."""
        ...

    def append(self, drafts: Sequence[Draft], *, checked: bool = False) -> list[Entry]:
        """Seal and keep drafts, all or none; when it returns, they are kept. `checked`: `check_draft` saw each."""
        ...

    def entry(self, seq: int) -> Entry:
        """Return one entry."""
        ...


class MemoryJournal:
    """A journal that lives as long as the process; the same rules and hashes as a store."""

    def __init__(self) -> None:
        self.entries: list[Entry] = []
        self.head = Head()
        self._refs: set[tuple[str, str]] = set()
        self._reversed: set[int] = set()

    def append(self, drafts: Sequence[Draft], *, checked: bool = False) -> list[Entry]:
        """Seal and keep drafts, all or none.

        Raises
        ------
        DataError
            If one cannot be booked; then none is.

        """
        entries, head = seal(self.head, drafts, checked=checked)
        refs = Counter((e.kind, e.ref) for e in entries if e.ref)
        reversed_now = Counter(e.reverses for e in entries if e.reverses is not None)
        known = {e.seq: e for e in entries}
        for (kind, ref), times in refs.items():
            if times > 1 or (kind, ref) in self._refs:
                raise DataError(f"{kind} {ref!r} is booked already", expected="every reference once")
        for entry in entries:
            if entry.reverses is None:
                continue
            seq = entry.reverses
            original = known.get(seq) or (self.entries[seq - 1] if 0 < seq <= len(self.entries) else None)
            problem = reversal_problem(entry, original)
            if seq in self._reversed or reversed_now[seq] > 1:
                problem = f"reverses entry {seq} a second time"
            if problem:
                raise DataError(f"reversal {entry.ref!r} {problem}", expected="one exact reversal of an entry")
        self.entries += entries
        self.head = head
        self._refs.update(refs)
        self._reversed.update(reversed_now)
        return entries

    def entry(self, seq: int) -> Entry:
        """Return one entry."""
        if not 0 < seq <= len(self.entries):
            raise DataError(f"there is no entry {seq}", expected=f"1 to {len(self.entries)}")
        return self.entries[seq - 1]


class Ledger:
    """Balances in memory and a journal that is written in batches.

    Posting changes the balances at once, so that the next recipe sees them; `flush` makes what was posted durable. A
    process that dies in between loses what was not flushed, and nothing else.

    Parameters
    ----------
    journal : Journal, optional
        A store that is empty or whose entries `state` was made from; memory unless given.
    state : LedgerState, optional
        Balances after the entries of `journal`.
    batch : int
        Drafts after which `post` flushes by itself: 1 makes every entry durable before `post` returns.

    """

    def __init__(self, journal: Journal | None = None, state: LedgerState | None = None, batch: int = 1_000) -> None:
        if not 1 <= batch <= LEDGER_BATCH_ENTRIES_MAX:
            raise DataError(f"batch is {batch}", expected=f"1 to {LEDGER_BATCH_ENTRIES_MAX} entries")
        self.journal: Journal = journal or MemoryJournal()
        self.batch = batch
        self._state = state or LedgerState()
        self._waiting: list[Draft] = []
        self._later: list[Callable[[LedgerState], Draft | None]] = []
        self._failed = False

    @property
    def state(self) -> LedgerState:
        """Return the balances after everything posted so far."""
        if self._later:
            self._settle()
        return self._state

    @property
    def waiting(self) -> int:
        """Return how many drafts are posted and not yet durable."""
        if self._later:
            self._settle()
        return len(self._waiting)

    def post_later(self, make: Callable[[LedgerState], Draft | None]) -> None:
        """Post what `make` makes of the balances, at the latest when somebody looks at them.

        Many entries one after another cost half of what they cost with an engine's events in between. Nobody can tell
        the difference but by the time an error comes up, and a batch is never larger than it would be otherwise.
        """
        self._later.append(make)
        if len(self._waiting) + len(self._later) >= self.batch:
            self._settle()

    def _settle(self) -> None:
        while self._later:
            later, self._later = self._later, []
            try:
                for make in later:
                    self._post(make(self._state))
            except BaseException:
                self._failed = True  # those after it are lost
                raise

    def define(self, *terms: Asset | Contract, ts_ns: int = 0) -> None:
        """Define assets and contracts; what the ledger knows already is left out."""
        for draft in definitions(self.state, *terms, ts_ns=ts_ns):
            self.post(draft)

    def post(self, *drafts: Draft | None) -> None:
        """Post drafts in order; None (a recipe that came to nothing) is left out.

        Raises
        ------
        DataError
            If a draft cannot stand in the journal; it changes nothing then.

        """
        if self._later:
            self._settle()
        for draft in drafts:
            self._post(draft)

    def _post(self, draft: Draft | None) -> None:
        if self._failed:
            raise RunFailedError("the ledger could not be written before", next_step="open the store again")
        if draft is None:
            return
        check_draft(draft)
        self._state.apply(draft)
        self._waiting.append(draft)
        if len(self._waiting) >= self.batch:
            self._write()

    def flush(self) -> list[Entry]:
        """Make everything posted so far durable and return it.

        Raises
        ------
        UfosError
            Whatever the journal says; the ledger then refuses further posts, because its balances are ahead of what is
            stored.

        """
        if self._later:
            self._settle()
        return self._write()

    def _write(self) -> list[Entry]:
        if not self._waiting:
            return []
        try:
            entries = self.journal.append(self._waiting, checked=True)
        except BaseException:
            self._failed = True
            raise
        self._waiting = []
        return entries
