"""Posting recipes of corporate actions: cash dividends and splits."""

from collections.abc import Mapping
from decimal import Decimal

from ufos_nautilus.errors import DataError
from ufos_nautilus.ledger.accounts import CASH, COST, DIVIDENDS, FINANCING, MARKET, POSITION, REALISED, Account
from ufos_nautilus.ledger.contracts import Contract
from ufos_nautilus.ledger.journal import Draft, Posting, add_pair
from ufos_nautilus.ledger.money import half_even
from ufos_nautilus.ledger.state import LedgerState

Meta = Mapping[str, str | int]


def dividend(
    state: LedgerState,
    *,
    ts_ns: int,
    ref: str,
    book: str,
    item: str,
    per_unit: Decimal,
    venue: str,
    quantity: Decimal | None = None,
    meta: Meta | None = None,
) -> Draft | None:
    """Return the entry of a cash dividend: long books receive it, short ones pay; None where it comes to nothing.

    Parameters
    ----------
    state : LedgerState
        Holdings at the ex-date, unless `quantity` is given.
    ts_ns, ref, meta
        As in every recipe.
    book, item : str
        Who and what; the position over all venues counts.
    per_unit : Decimal
        Gross amount per unit, in the settlement currency, with as many decimals as it has.
    venue : str
        Where the cash arrives.
    quantity : Decimal, optional
        Signed units at the record date.

    """
    contract = state.contract(item)
    units = state.holding(book, item).quantity
    if quantity is not None:
        units = state.units(quantity, contract.asset.code, "dividend quantity")
    if not per_unit.is_finite() or per_unit <= 0:
        raise DataError(f"{item}: dividend per unit is {per_unit}", expected="a positive decimal")
    top, bottom = per_unit.as_integer_ratio()
    paid = half_even(units * top * 10**contract.currency.decimals, bottom * 10**contract.asset.decimals)
    if not paid:
        return None
    currency = contract.currency.code
    postings: list[Posting] = []
    add_pair(postings, Account(book, currency, CASH, venue), Account(book, currency, DIVIDENDS, "", item), paid)
    about = {"item": item, "per_unit": format(per_unit, "f")}
    return Draft("dividend", ts_ns, ref, tuple(postings), {**(meta or {}), **about})


def split(
    state: LedgerState,
    *,
    ts_ns: int,
    ref: str,
    book: str,
    item: str,
    new: int,
    old: int,
    cash_in_lieu: Decimal | None = None,
    at: str = "",
    till: str = "",
    settled: Decimal = Decimal(0),
    meta: Meta | None = None,
) -> Draft | None:
    """Return the entry of a split of `new` units for `old` ones; None where the book holds nothing.

    The cost stays and spreads over the new units. What is no whole unit is paid out.

    Parameters
    ----------
    state : LedgerState
        Holdings before the split.
    ts_ns, ref, meta
        As in every recipe.
    book, item : str
        Who and what.
    new, old : int
        For example 4 and 1; a reverse split has `old` above `new`.
    cash_in_lieu : Decimal, optional
        Price after the split at which fractions are paid out; needed only where there are any.
    at : str, optional
        The venue where the change arrives, computed on the position over all venues; without it each venue's part is
        split where it is. Fractions are then paid at `till`, and what they are paid is profit.
    till : str
        The venue where fractions are paid out, with `at`.
    settled : Decimal
        By how much that venue changed its balance as the units arrived, where it settles results only.

    Raises
    ------
    DataError
        If fractions arise without a price for them, or a margined part would leave some.

    """
    if min(new, old) < 1:
        raise DataError(f"split of {new} for {old}", expected="two positive whole numbers")
    contract = state.contract(item)
    holding = state.holding(book, item)
    if not holding.quantity and not any(place.quantity for place in holding.places.values()):
        return None
    if at:
        if holding.quantity == 0:
            return None
        units = state.units(settled, contract.currency.code, "settled amount")
        postings = _split_at(contract, holding.quantity, book, (new, old), cash_in_lieu, (at, till), units)
        about = {**(meta or {}), "item": item, "new": new, "old": old}
        return Draft("split", ts_ns, ref, tuple(postings), about) if postings else None
    postings: list[Posting] = []
    fraction = 0  # in 1/old of a new unit
    venue_of_cash = ""
    for venue, place in sorted(holding.places.items()):
        if not place.quantity:
            continue
        whole, rest = divmod(abs(place.quantity) * new, old)
        sign = 1 if place.quantity > 0 else -1
        if rest and (place.financing or cash_in_lieu is None):
            raise DataError(
                f"{book} holds {abs(place.quantity)} units of {item} at {venue}; {new} for {old} leaves a fraction",
                expected="whole units, or a price for fractions of positions paid in full",
                next_step="give cash_in_lieu",
            )
        fraction += sign * rest
        venue_of_cash = venue_of_cash or (venue if rest else "")
        asset = contract.asset.code
        change = sign * whole - place.quantity
        add_pair(postings, Account(book, asset, POSITION, venue, item), Account(book, asset, MARKET, "", item), change)
    if fraction and cash_in_lieu is not None:
        cash = Account(book, contract.currency.code, CASH, venue_of_cash)
        _pay_fraction(contract, holding.cost, holding.quantity * new, fraction, (cash_in_lieu, old), cash, postings)
    if not postings:
        return None
    return Draft("split", ts_ns, ref, tuple(postings), {**(meta or {}), "item": item, "new": new, "old": old})


def _split_at(
    contract: Contract,
    quantity: int,
    book: str,
    ratio: tuple[int, int],
    cash_in_lieu: Decimal | None,
    places: tuple[str, str],
    settled: int,
) -> list[Posting]:
    """Return the postings of a split whose change arrives at one venue."""
    item, asset, currency = contract.item, contract.asset.code, contract.currency.code
    place, till = places
    sign = 1 if quantity > 0 else -1
    whole, rest = divmod(abs(quantity) * ratio[0], ratio[1])
    if rest and cash_in_lieu is None:
        raise DataError(
            f"{book} holds {abs(quantity)} units of {item}; {ratio[0]} for {ratio[1]} leaves a fraction",
            expected="whole units, or a price for fractions",
            next_step="give cash_in_lieu",
        )
    postings: list[Posting] = []
    change = sign * whole - quantity
    cash, paid_to = Account(book, currency, CASH, place), Account(book, currency, CASH, till)
    add_pair(postings, Account(book, asset, POSITION, place, item), Account(book, asset, MARKET, "", item), change)
    add_pair(postings, cash, Account(book, currency, FINANCING, place, item), settled)
    if rest and cash_in_lieu is not None:
        proceeds = _fraction_value(contract, sign * rest, (cash_in_lieu, ratio[1]))
        add_pair(postings, paid_to, Account(book, currency, REALISED, "", item), proceeds)
    return postings


def _fraction_value(contract: Contract, fraction: int, price: tuple[Decimal, int]) -> int:
    """Return what `fraction`, in 1/old of a new unit, is worth at a price per new unit."""
    top, bottom = price[0].as_integer_ratio()
    m_top, m_bottom = contract.multiplier.as_integer_ratio()
    return half_even(
        fraction * top * m_top * 10**contract.currency.decimals,
        price[1] * bottom * m_bottom * 10**contract.asset.decimals,
    )


def _pay_fraction(
    contract: Contract,
    cost: int,
    whole: int,
    fraction: int,
    price: tuple[Decimal, int],
    cash: Account,
    postings: list[Posting],
) -> None:
    """Sell `fraction` of `whole`, both in 1/old of a new unit, for cash at a price per new unit."""
    proceeds = _fraction_value(contract, fraction, price)
    released = half_even(cost * fraction, whole) if whole else 0
    currency, item = contract.currency.code, contract.item
    for account, amount in (
        (cash, proceeds),
        (Account(cash.book, currency, COST, "", item), -released),
        (Account(cash.book, currency, REALISED, "", item), released - proceeds),
    ):
        if amount:
            postings.append(Posting(account, amount))
