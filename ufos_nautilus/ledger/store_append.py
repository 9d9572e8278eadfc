"""What every store does with a batch: seal it, find new accounts, write it whole, say why it was refused."""

from abc import ABC, abstractmethod
from collections.abc import Sequence

from ufos_nautilus.errors import DataError, LimitExceededError, RunFailedError, SpecError, UfosError
from ufos_nautilus.ledger.accounts import Account, Asset, check_account, check_asset
from ufos_nautilus.ledger.journal import Draft, Entry, Head, reversal_problem, seal
from ufos_nautilus.ledger.store_write import Batch, Writer, moved_on, posting_rows
from ufos_nautilus.limits import LEDGER_BATCH_ENTRIES_MAX


class Appender(ABC):
    """The writing half of a store; reading back is the store's own."""

    def __init__(self, *, readonly: bool = False) -> None:
        self.readonly = readonly
        self._writer: Writer | None = None
        self._ids: dict[Account, int] = {}
        self._assets: dict[str, int] = {}
        self._head = Head()

    @abstractmethod
    def _open_writer(self) -> Writer: ...

    @abstractmethod
    def entry(self, seq: int) -> Entry:
        """Return one entry."""

    @abstractmethod
    def _taken(self, entries: Sequence[Entry]) -> list[str]: ...

    @property
    def head(self) -> Head:
        """Return where the chain ends; keep it elsewhere to notice a tail that was cut off."""
        return self._head

    def append(self, drafts: Sequence[Draft], *, checked: bool = False) -> list[Entry]:
        """Write drafts as one batch, all or none; when this returns they are durable.

        Parameters
        ----------
        drafts : sequence of Draft
            In order, made from the balances at `head`.
        checked : bool
            `check_draft` has seen each of them already.

        Raises
        ------
        DataError
            If a draft cannot be booked, a reference is there already, or another process wrote to the ledger.
        LimitExceededError
            If the batch is too large.

        """
        if self.readonly:
            raise SpecError("the ledger was opened for reading", expected="a ledger opened for writing")
        if len(drafts) > LEDGER_BATCH_ENTRIES_MAX:
            raise LimitExceededError(f"a batch of {len(drafts)}", expected=f"at most {LEDGER_BATCH_ENTRIES_MAX}")
        if not drafts:
            return []
        entries, after = seal(self._head, drafts, checked=checked)
        self._check_reversals(entries)
        assets: list[Asset] = []
        accounts: list[tuple[int, Account]] = []
        try:
            postings = posting_rows(entries, self._ids)
            named = not any(entry.kind == "asset" for entry in entries)
        except KeyError:
            postings, named = [], False
        if not named:  # the batch brings accounts or assets
            assets, accounts = self._fresh(entries)
            self._ids.update((account, number) for number, account in accounts)
            postings = posting_rows(entries, self._ids)
        try:
            if self._writer is None:
                self._writer = self._open_writer()
            self._writer.write(Batch(self._head, after, assets, accounts, entries, postings))
        except BaseException as error:
            for _, account in accounts:
                del self._ids[account]
            if isinstance(error, UfosError) or not isinstance(error, Exception):
                raise
            raise self._refusal(error, entries) from error
        self._head = after
        self._assets.update(assets)
        return entries

    def _fresh(self, entries: Sequence[Entry]) -> tuple[list[Asset], list[tuple[int, Account]]]:
        """Return the assets and accounts that the entries bring; refuse accounts without a defined asset."""
        assets: dict[str, int] = {}
        accounts: dict[Account, int] = {}
        for entry in entries:
            if entry.kind == "asset":
                meta = entry.meta
                asset = Asset(meta["code"], meta["decimals"])
                check_asset(asset, self._assets | assets)
                assets[asset.code] = asset.decimals
            for account, _ in entry.postings:
                if account in self._ids or account in accounts:
                    continue
                check_account(account)
                if account.asset not in self._assets and account.asset not in assets:
                    raise DataError(
                        f"asset {account.asset!r} was not defined in this ledger", next_step="book `define_asset` first"
                    )
                accounts[account] = len(self._ids) + len(accounts) + 1
        fresh = [Asset(code, decimals) for code, decimals in assets.items() if code not in self._assets]
        return fresh, [(number, account) for account, number in accounts.items()]

    def _check_reversals(self, entries: Sequence[Entry]) -> None:
        batch = {entry.seq: entry for entry in entries}
        for entry in entries:
            if entry.reverses is None:
                continue
            original = batch.get(entry.reverses)
            if original is None and 0 < entry.reverses <= self._head.seq:
                original = self.entry(entry.reverses)
            problem = reversal_problem(entry, original)
            if problem:
                raise DataError(f"reversal {entry.ref!r} {problem}", expected="one exact reversal of an entry")

    def _refusal(self, error: Exception, entries: Sequence[Entry]) -> UfosError:
        text = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        if "unique" not in text.lower():
            return RunFailedError(
                f"the ledger could not be written: {text}",
                expected="a database that takes the batch",
                next_step="open the ledger again; nothing of the batch is there unless its head moved",
            )
        taken = self._taken(entries)
        if taken:
            return DataError(
                f"booked already, or twice in one batch: {', '.join(taken[:5])}",
                expected="every reference once per kind, and every entry reversed once",
            )
        return moved_on(self._head)
