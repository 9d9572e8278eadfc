"""What the balances mean: positions, average cost, results, net asset value, inventory, cash by venue."""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal

from ufos_nautilus.errors import DataError
from ufos_nautilus.ledger.accounts import CAPITAL, CASH, FINANCING, POSITION, RESULT_ROLES
from ufos_nautilus.ledger.money import from_units, half_even
from ufos_nautilus.ledger.state import LedgerState

Prices = Mapping[str, Decimal]
"""Item (root symbol) -> price in quote currency."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Inventory:
    """One line of the inventory ledger.

    Parameters
    ----------
    book, symbol : str
        Whose position in which root symbol, over all venues.
    net_position : Decimal
        Signed units.
    cost : Decimal
        What the open position cost, in `currency`; negative when short.
    vwap_cost : Decimal or None
        Average price of the open position; None when flat.
    price : Decimal or None
        Price it is valued at; None where none was given.
    unrealized_pnl : Decimal or None
        Value at that price less cost; None without a price.
    currency : str
        Settlement currency.

    """

    book: str
    symbol: str
    net_position: Decimal
    cost: Decimal
    vwap_cost: Decimal | None
    price: Decimal | None
    unrealized_pnl: Decimal | None
    currency: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """Profit and loss of a book in one currency; every number is positive for profit.

    Parameters
    ----------
    book, currency : str
        Whose, in what.
    realised : Decimal
        Closed trades at average cost, before costs.
    unrealised : Decimal
        Open positions at the given prices.
    venue_difference, fees, funding, dividends, transfer_fee, fx : Decimal
        What the accounts of these names say.

    """

    book: str
    currency: str
    realised: Decimal
    unrealised: Decimal
    venue_difference: Decimal
    fees: Decimal
    funding: Decimal
    dividends: Decimal
    transfer_fee: Decimal
    fx: Decimal

    @property
    def total(self) -> Decimal:
        """Return the sum of all parts; capital plus this is the net asset value, exactly."""
        return (
            self.realised
            + self.unrealised
            + self.venue_difference
            + self.fees
            + self.funding
            + self.dividends
            + self.transfer_fee
            + self.fx
        )


def inventory(state: LedgerState, prices: Prices | None = None, book: str | None = None) -> list[Inventory]:
    """Return all positions with their average cost and, where there is a price, their unrealised result.

    Parameters
    ----------
    state : LedgerState
        After the entries to look at.
    prices : mapping, optional
        Item -> price. Positions without one have no unrealised result.
    book : str, optional
        Only this book.

    Returns
    -------
    list of Inventory
        In order of book and symbol; positions that are flat and have no cost are left out.

    """
    rows: list[Inventory] = []
    for (owner, item), holding in sorted(state.holdings.items()):
        if (book is not None and owner != book) or not (holding.quantity or holding.cost):
            continue
        contract = state.contract(item)
        decimals = contract.currency.decimals
        price = (prices or {}).get(item)
        value = None if price is None else contract.value(holding.quantity, price)
        rows.append(
            Inventory(
                book=owner,
                symbol=item,
                net_position=from_units(holding.quantity, contract.asset.decimals),
                cost=from_units(holding.cost, decimals),
                vwap_cost=contract.average_price(holding.quantity, holding.cost),
                price=price,
                unrealized_pnl=None if value is None else from_units(value - holding.cost, decimals),
                currency=contract.currency.code,
            )
        )
    return rows


def unrealised(state: LedgerState, book: str, prices: Prices) -> dict[str, int]:
    """Return the unrealised result of a book by currency, in smallest units.

    Raises
    ------
    DataError
        If an open position has no price.

    """
    totals: dict[str, int] = {}
    for (owner, item), holding in state.holdings.items():
        if owner == book and (holding.quantity or holding.cost):
            currency = state.contract(item).currency.code
            totals[currency] = totals.get(currency, 0) + _value(state, item, holding.quantity, prices) - holding.cost
    return totals


def results(state: LedgerState, book: str, prices: Prices) -> list[Result]:
    """Return profit and loss of a book, one row per currency in order of code.

    Raises
    ------
    DataError
        If an open position has no price.

    """
    sums: dict[str, dict[str, int]] = {}
    for account, amount in state.accounts(*RESULT_ROLES, book=book):
        by_role = sums.setdefault(account.asset, {})
        by_role[account.role] = by_role.get(account.role, 0) - amount
    opened = unrealised(state, book, prices)
    rows: list[Result] = []
    for currency in sorted(sums.keys() | opened.keys()):
        decimals = state.decimals(currency)
        parts = {role: from_units(sums.get(currency, {}).get(role, 0), decimals) for role in RESULT_ROLES}
        parts["realised"] = parts.pop("realised_pnl")
        rows.append(
            Result(book=book, currency=currency, unrealised=from_units(opened.get(currency, 0), decimals), **parts)
        )
    return rows


def nav(state: LedgerState, book: str, prices: Prices) -> dict[str, Decimal]:
    """Return the net asset value of a book by currency: cash, less what venues finance, plus positions at market.

    Raises
    ------
    DataError
        If an open position has no price.

    """
    totals: dict[str, int] = {}
    for account, amount in state.accounts(CASH, FINANCING, book=book):
        totals[account.asset] = totals.get(account.asset, 0) + amount
    for (owner, item), holding in state.holdings.items():
        if owner == book and holding.quantity:
            currency = state.contract(item).currency.code
            totals[currency] = totals.get(currency, 0) + _value(state, item, holding.quantity, prices)
    return {code: from_units(units, state.decimals(code)) for code, units in sorted(totals.items())}


def nav_in(state: LedgerState, book: str, prices: Prices, currency: str, rates: Prices) -> Decimal:
    """Return the net asset value of a book in one currency, rounded half to even once.

    Parameters
    ----------
    state, book, prices
        As for `nav`.
    currency : str
        Base currency.
    rates : mapping
        Other currency -> units of `currency` for one of it.

    Raises
    ------
    DataError
        If a price or a rate is missing.

    """
    decimals = state.decimals(currency)
    top, bottom = 0, 1
    for code, amount in nav(state, book, prices).items():
        rate = Decimal(1) if code == currency else rates.get(code)
        if rate is None:
            if not amount:
                continue
            raise DataError(f"no rate of {code} in {currency}", expected="a rate for every currency the book holds")
        (a, b), (c, d) = amount.as_integer_ratio(), rate.as_integer_ratio()
        top, bottom = top * b * d + a * c * bottom, bottom * b * d
    return from_units(half_even(top * 10**decimals, bottom), decimals)


def capital(state: LedgerState, book: str) -> dict[str, Decimal]:
    """Return what owners put into a book and left there, by currency or instrument."""
    totals: dict[str, int] = {}
    for account, amount in state.accounts(CAPITAL, book=book):
        totals[account.asset] = totals.get(account.asset, 0) - amount
    return {code: from_units(units, state.decimals(code)) for code, units in totals.items()}


def cash_by_venue(state: LedgerState) -> dict[tuple[str, str], Decimal]:
    """Return (venue, asset) -> what all books together hold there: cash, and positions counted in the asset.

    A cash account's balance of a base currency (the BTC of ``BTCUSDT``) is both; assets that no account reports, such
    as shares, are there too and can be left aside.
    """
    totals: dict[tuple[str, str], int] = {}
    for account, amount in state.accounts(CASH, POSITION):
        key = (account.venue, account.asset)
        totals[key] = totals.get(key, 0) + amount
    return {key: from_units(units, state.decimals(key[1])) for key, units in sorted(totals.items())}


def positions_by_venue(state: LedgerState) -> dict[tuple[str, str], Decimal]:
    """Return (book, instrument id) -> signed units, leaving out what is flat."""
    rows: dict[tuple[str, str], Decimal] = {}
    for (book, item), holding in sorted(state.holdings.items()):
        for venue, place in sorted(holding.places.items()):
            if place.quantity:
                rows[book, f"{item}.{venue}"] = from_units(place.quantity, state.contract(item).asset.decimals)
    return rows


def trial_balance(state: LedgerState) -> dict[str, int]:
    """Return the sum of all accounts by asset; every one is zero in a sound ledger."""
    sums: dict[str, int] = dict.fromkeys(state.assets, 0)
    for account, amount in state.balances.items():
        sums[account.asset] += amount
    return sums


def _value(state: LedgerState, item: str, quantity: int, prices: Prices) -> int:
    if not quantity:
        return 0
    price = prices.get(item)
    if price is None:
        raise DataError(
            f"no price of {item}", expected="a price for every open position", next_step=f"give one for {item}"
        )
    return state.contract(item).value(quantity, price)
