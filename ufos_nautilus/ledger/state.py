"""Balances of all accounts, folded from entries: what recipes look at and views are made of."""

from collections.abc import Iterable, Iterator
from decimal import Decimal
from typing import Any

import msgspec

from ufos_nautilus.errors import DataError, LimitExceededError
from ufos_nautilus.ledger.accounts import COST, FINANCING, POSITION, Account, Asset, check_account, check_asset
from ufos_nautilus.ledger.contracts import Contract
from ufos_nautilus.ledger.journal import Draft, Entry
from ufos_nautilus.ledger.money import from_units, to_units
from ufos_nautilus.limits import LEDGER_ACCOUNTS_MAX


class Placed:
    """What a book holds of an item at one venue.

    Attributes
    ----------
    quantity : int
        Signed units.
    financing : int
        Balance of the financing account, smallest units of the currency.
    trades : int
        Postings since the position was flat; bounds what rounding can add up to.

    """

    __slots__ = ("financing", "quantity", "trades")

    def __init__(self) -> None:
        self.quantity = self.financing = self.trades = 0


class Holding:
    """What a book holds of an item in all: signed units, their cost, and the places."""

    __slots__ = ("cost", "places", "quantity")

    def __init__(self) -> None:
        self.quantity = self.cost = 0
        self.places: dict[str, Placed] = {}

    def at(self, venue: str) -> Placed:
        """Return what is held at one venue."""
        place = self.places.get(venue)
        if place is None:
            place = self.places[venue] = Placed()
        return place


class LedgerState:
    """Balances and terms after a number of entries.

    Attributes
    ----------
    balances : dict
        Account -> smallest units; accounts that were never posted to are absent.
    assets : dict
        Asset code -> decimals.
    contracts : dict
        Item -> `Contract`.
    holdings : dict
        (book, item) -> `Holding`.
    entries : int
        Entries applied.

    """

    def __init__(self) -> None:
        self.balances: dict[Account, int] = {}
        self.assets: dict[str, int] = {}
        self.contracts: dict[str, Contract] = {}
        self.holdings: dict[tuple[str, str], Holding] = {}
        self.entries = 0

    @classmethod
    def of(cls, entries: Iterable[Entry | Draft]) -> "LedgerState":
        """Return the state after `entries`, from nothing."""
        state = cls()
        for entry in entries:
            state.apply(entry)
        return state

    def apply(self, entry: Entry | Draft) -> None:
        """Add one entry; nothing changes if it is refused.

        Raises
        ------
        DataError
            If it uses an asset that was not defined, an account that cannot be, or redefines terms.

        """
        if entry.postings:
            self._post(entry)
        else:
            self._define(entry.kind, dict(entry.meta))
        self.entries += 1

    def _post(self, entry: Entry | Draft) -> None:
        balances = self.balances
        for account in [account for account, _ in entry.postings if account not in balances]:
            self._admit(account)
        for account, amount in entry.postings:
            balances[account] = balances.get(account, 0) + amount
            role = account[2]
            if role == POSITION:
                self._move(account, amount)
            elif role == COST:
                self.holding(account.book, account.item).cost += amount
            elif role == FINANCING:
                self.holding(account.book, account.item).at(account.venue).financing += amount

    def _move(self, account: Account, amount: int) -> None:
        holding = self.holding(account.book, account.item)
        place = holding.at(account.venue)
        holding.quantity += amount
        place.quantity += amount
        place.trades = place.trades + 1 if place.quantity else 0

    def _admit(self, account: Account) -> None:
        check_account(account)
        if account.asset not in self.assets:
            raise DataError(
                f"asset {account.asset!r} has no smallest unit in this ledger",
                expected="an asset that was defined first",
                next_step="book `define_asset` or `define_contract` before anything that uses it",
            )
        if len(self.balances) >= LEDGER_ACCOUNTS_MAX:
            raise LimitExceededError(
                f"the ledger has {len(self.balances)} accounts", expected=f"at most {LEDGER_ACCOUNTS_MAX}"
            )

    def _define(self, kind: str, meta: dict[str, Any]) -> None:
        if kind == "asset":
            asset = Asset(meta["code"], meta["decimals"])
            check_asset(asset, self.assets)
            self.assets[asset.code] = asset.decimals
            return
        contract = Contract.from_dict(meta)
        known = self.contracts.get(contract.item, contract)
        if known != contract:
            raise DataError(
                f"{contract.item} has other terms in this ledger: {known}", expected="one set of terms per root symbol"
            )
        for asset in (contract.asset, contract.currency):
            check_asset(asset, self.assets)
            if asset.code not in self.assets:
                raise DataError(f"{contract.item}: asset {asset.code!r} was not defined first")
        self.contracts[contract.item] = contract

    def holding(self, book: str, item: str) -> Holding:
        """Return what a book holds of an item; made empty where it holds nothing."""
        key = (book, item)
        holding = self.holdings.get(key)
        if holding is None:
            holding = self.holdings[key] = Holding()
        return holding

    def contract(self, item: str) -> Contract:
        """Return the terms of an item.

        Raises
        ------
        DataError
            If it was not defined.

        """
        contract = self.contracts.get(item)
        if contract is None:
            raise DataError(
                f"{item!r} has no terms in this ledger", expected="an item defined first", next_step="`define_contract`"
            )
        return contract

    def units(self, value: Decimal, asset: str, what: str) -> int:
        """Return an amount of an asset in smallest units, exactly."""
        return to_units(value, self.decimals(asset), what)

    def positive(self, value: Decimal, asset: str, what: str) -> int:
        """Return an amount of an asset in smallest units; refuse zero and less."""
        units = self.units(value, asset, what)
        if units <= 0:
            raise DataError(f"{what} is {value} {asset}", expected="a positive amount")
        return units

    def decimals(self, asset: str) -> int:
        """Return the decimals of an asset that was defined."""
        decimals = self.assets.get(asset)
        if decimals is None:
            raise DataError(f"asset {asset!r} was not defined in this ledger", next_step="`define_asset`")
        return decimals

    def amount(self, account: Account) -> Decimal:
        """Return the balance of one account as a decimal; zero where it has none."""
        return from_units(self.balances.get(account, 0), self.decimals(account.asset))

    def accounts(self, *roles: str, book: str | None = None) -> Iterator[tuple[Account, int]]:
        """Yield accounts of the given roles with their balances, in order of name."""
        for account in sorted(self.balances):
            if account.role in roles and (book is None or account.book == book):
                yield account, self.balances[account]

    def books(self) -> list[str]:
        """Return the books that have an account, in order of name."""
        return sorted({account.book for account in self.balances})

    def snapshot(self) -> dict[str, Any]:
        """Return all of it as plain, sorted data, for comparing two states."""
        return {
            "balances": {"|".join(a): v for a, v in sorted(self.balances.items()) if v},
            "assets": dict(sorted(self.assets.items())),
            "contracts": {k: msgspec.to_builtins(v.to_dict()) for k, v in sorted(self.contracts.items())},
        }
