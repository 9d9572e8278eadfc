"""What a book may know of its own accounts: cash and holdings out of the ledger, without a search through it."""

from collections.abc import Mapping
from decimal import Decimal
from itertools import islice

from ufos_nautilus.ledger.accounts import CASH, Account
from ufos_nautilus.ledger.ledger import Ledger
from ufos_nautilus.ledger.money import from_units, half_even
from ufos_nautilus.ledger.state import Holding


class LedgerIndex:
    """Holdings by book, kept up as the ledger grows.

    Parameters
    ----------
    ledger : Ledger
        The run's.
    venues : sequence of str
        Venues at which a book may have cash; the house's own till is always one.

    """

    def __init__(self, ledger: Ledger, venues: list[str]) -> None:
        self.ledger = ledger
        self.venues = ["", *venues]
        self._seen = 0
        self._by_book: dict[str, dict[str, Holding]] = {}
        self._scales: dict[str, tuple[str, int, int]] = {}
        """Item -> currency, and what units times a mark are multiplied and divided by; a top of 0 asks the contract."""

    def of(self, book: str) -> Mapping[str, Holding]:
        """Return item -> holding of a book; flat ones are among them."""
        holdings = self.ledger.state.holdings
        if len(holdings) > self._seen:
            for owner, item in islice(holdings, self._seen, None):
                self._by_book.setdefault(owner, {})[item] = holdings[owner, item]
            self._seen = len(holdings)
        return self._by_book.get(book, {})

    def cash_units(self, book: str, code: str) -> int:
        """Return cash of a book, less what venues finance, in smallest units of a currency."""
        state, total = self.ledger.state, self._till(book, code)
        for item, holding in self.of(book).items():
            if state.contracts[item].currency.code == code:
                for place in holding.places.values():
                    total += place.financing
        return total

    def _till(self, book: str, code: str) -> int:
        balances = self.ledger.state.balances
        return sum(balances.get(Account(book, code, CASH, venue), 0) for venue in self.venues)

    def has_cash(self, book: str, code: str) -> bool:
        """Tell whether a book ever had cash of a currency."""
        balances = self.ledger.state.balances
        return any(Account(book, code, CASH, venue) in balances for venue in self.venues)

    def nav_units(self, book: str, code: str, marks: Mapping[str, tuple[int, int]]) -> tuple[int, int, int]:
        """Return net asset value, gross position and cash of a book in one currency, smallest units.

        Parameters
        ----------
        book, code : str
            Whose, in which currency.
        marks : mapping
            Item -> (price as an integer, its unit's denominator); items without one count as nothing.

        """
        cash, worth, gross, scales = self._till(book, code), 0, 0, self._scales
        for item, holding in self.of(book).items():
            own, top, bottom = scales.get(item) or self._scale(item)
            if own != code:
                continue
            for place in holding.places.values():
                cash += place.financing
            mark = marks.get(item) if holding.quantity else None
            if mark is None:
                continue
            if top:
                value = half_even(holding.quantity * mark[0] * top, mark[1] * bottom)
            else:
                contract = self.ledger.state.contracts[item]
                value = contract.value(holding.quantity, Decimal(mark[0]) / mark[1])
            worth += value
            gross += abs(value)
        return cash + worth, gross, cash

    def _scale(self, item: str) -> tuple[str, int, int]:
        contract = self.ledger.state.contracts[item]
        shift = contract.currency.decimals - contract.asset.decimals
        plain = not contract.inverse and contract.multiplier == 1
        top, bottom = (10**shift, 1) if shift >= 0 else (1, 10**-shift)
        self._scales[item] = (contract.currency.code, top if plain else 0, bottom)
        return self._scales[item]


class BookAccounts:
    """One book's view of its own part of the ledger.

    Parameters
    ----------
    index : LedgerIndex
        Shared by all books.
    book : str
        Whose.

    """

    def __init__(self, index: LedgerIndex, book: str) -> None:
        self._index = index
        self._book = book

    def cash(self, code: str) -> Decimal:
        """Return cash less what venues finance: what the book could spend without owing anything."""
        return from_units(self._index.cash_units(self._book, code), self._index.ledger.state.decimals(code))

    def holdings(self) -> dict[str, Decimal]:
        """Return root symbol -> signed units over all venues, without flat ones."""
        state = self._index.ledger.state
        return {
            item: from_units(quantity, state.contracts[item].asset.decimals)
            for item, quantity in sorted((i, h.quantity) for i, h in self._index.of(self._book).items() if h.quantity)
        }

    def position(self, symbol: str) -> Decimal:
        """Return signed units of a root symbol over all venues."""
        holding = self._index.of(self._book).get(symbol)
        if holding is None:
            return Decimal(0)
        return from_units(holding.quantity, self._index.ledger.state.contracts[symbol].asset.decimals)
