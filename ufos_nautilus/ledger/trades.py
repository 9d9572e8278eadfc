"""Posting recipes of trades: fills on a venue and crosses between two books, paid in full or on margin.

How a trade is booked
---------------------
The position moves in units. Its cost, kept by root symbol over all venues, grows by the value of what is opened and
releases the share of what is closed (average cost); value received less cost released is the realised result.

*Paid in full* (cash accounts; options everywhere): cash moves by the whole value.

*Margined* (margin accounts, perpetuals, futures, inverse contracts): cash moves by what the venue settles: nothing when
a position at this venue opens, its realised result when it closes. The rest stands on the financing account of that
venue, which is always minus the cost of the position there, so cash + financing + market value is the book's equity.
A venue that keeps positions of its own (``AAPL.DARK`` beside ``AAPL.XNAS``) settles on those, whatever the book's
position over all venues is.

A venue's own number (`Leg.settled`) is booked as it is, because cash must equal the venue's balance; it is checked
against the exact result, and what rounding leaves between the two goes to the venue-difference account.
"""

from collections.abc import Mapping
from decimal import Decimal
from functools import lru_cache
from typing import NamedTuple

import msgspec

from ufos_nautilus.errors import DataError, ReconciliationError
from ufos_nautilus.ledger.accounts import (
    CASH,
    COST,
    FEES,
    FINANCING,
    MARKET,
    POSITION,
    REALISED,
    TRANSFER_FEE,
    VENUE_DIFFERENCE,
    Account,
    root_and_venue,
)
from ufos_nautilus.ledger.contracts import Contract
from ufos_nautilus.ledger.journal import Draft, Posting, add_pair
from ufos_nautilus.ledger.money import from_units
from ufos_nautilus.ledger.state import LedgerState, Placed

FLOAT_NOISE_BITS = 48
"""A venue that reckons in double precision is off by less than 2 ** -48 of the amounts it handles, per trade."""


class TransferFee(msgspec.Struct, frozen=True, kw_only=True):
    """What each side of a cross pays another book instead of the spread.

    Parameters
    ----------
    amount : Decimal
        Paid by the buyer and by the seller each, in the settlement currency; positive.
    payee : str
        The book that receives it; neither of the two.
    payee_venue : str
        Where the payee holds it; by default the house's own till.

    """

    amount: Decimal
    payee: str
    payee_venue: str = ""


class Leg(msgspec.Struct, frozen=True, kw_only=True):
    """One side of a trade.

    Parameters
    ----------
    book : str
        Whose trade it is.
    margined : bool
        The venue settles results only, not the whole value.
    settled : Decimal or None
        Margined only: by how much the venue changed the balance for this trade before commission, in the settlement
        currency; None to book the exact result.
    commission : Decimal
        Paid (positive) or received (negative), in `commission_currency`.
    commission_currency : str
        Empty for the settlement currency.

    """

    book: str
    margined: bool = False
    settled: Decimal | None = None
    commission: Decimal = Decimal(0)
    commission_currency: str = ""


def fill(
    state: LedgerState,
    leg: Leg,
    *,
    ts_ns: int,
    ref: str,
    instrument_id: str,
    side: str,
    quantity: Decimal,
    price: Decimal,
    meta: Mapping[str, str | int] | None = None,
) -> Draft:
    """Return the entry of one fill on a venue, commission included.

    Parameters
    ----------
    state : LedgerState
        Balances just before the fill.
    leg : Leg
        Book, settlement and commission.
    ts_ns : int
        UNIX nanoseconds of the fill.
    ref : str
        Trade id, unique among fills.
    instrument_id : str
        For example ``"AAPL.XNAS"``; the root must have a contract.
    side : str
        ``"BUY"`` or ``"SELL"``.
    quantity, price : Decimal
        Units (positive) and price in quote currency.
    meta : mapping, optional
        More to keep with the entry; text and whole numbers.

    Raises
    ------
    DataError
        If something is not on its grid, unknown, or not possible for the instrument.
    ReconciliationError
        If the venue settled something that rounding cannot explain.

    """
    item, venue = root_and_venue(instrument_id)
    contract = state.contract(item)
    traded = _traded(state, contract, quantity, side)
    postings = _leg_postings(state, contract, venue, leg, traded, price, _value(contract, traded, price))
    postings.append(Posting(Account(leg.book, contract.asset.code, MARKET, "", item), -traded))
    about = {"instrument_id": instrument_id, "side": side, "price": format(price, "f"), "book": leg.book}
    return Draft("fill", ts_ns, ref, tuple(postings), {**(meta or {}), **about})


def cross(
    state: LedgerState,
    buyer: Leg,
    seller: Leg,
    *,
    ts_ns: int,
    ref: str,
    instrument_id: str,
    quantity: Decimal,
    price: Decimal,
    fee: TransferFee | None = None,
    meta: Mapping[str, str | int] | None = None,
) -> Draft:
    """Return the one entry of a cross between two books: both legs or neither.

    Units go from the seller to the buyer; nothing reaches the market. Parameters as in `fill`; `fee` is paid at the
    instrument's venue by both sides, in the same entry.

    Raises
    ------
    DataError
        If a book would cross with itself, or as for `fill`.
    ReconciliationError
        As for `fill`.

    """
    if buyer.book == seller.book:
        raise DataError(f"{buyer.book} would cross with itself", expected="two different books")
    item, venue = root_and_venue(instrument_id)
    contract = state.contract(item)
    traded = _traded(state, contract, quantity, "BUY")
    value = _value(contract, traded, price)
    paid = 0 if fee is None else _fee_units(state, contract, (buyer.book, seller.book), fee)
    postings = _leg_postings(state, contract, venue, buyer, traded, price, value, paid)
    postings += _leg_postings(state, contract, venue, seller, -traded, price, -value, paid)
    if fee is not None:
        currency = contract.currency.code
        till = Account(fee.payee, currency, CASH, fee.payee_venue)
        add_pair(postings, till, Account(fee.payee, currency, TRANSFER_FEE, "", item), 2 * paid)
    about = {
        "instrument_id": instrument_id,
        "price": format(price, "f"),
        "buyer": buyer.book,
        "seller": seller.book,
    }
    return Draft("cross", ts_ns, ref, tuple(postings), {**(meta or {}), **about})


def _fee_units(state: LedgerState, contract: Contract, payers: tuple[str, str], fee: TransferFee) -> int:
    if fee.payee in payers:
        raise DataError(f"{fee.payee} would pay a transfer fee to itself", expected="a third book")
    return state.positive(fee.amount, contract.currency.code, "transfer fee")


def _traded(state: LedgerState, contract: Contract, quantity: Decimal, side: str) -> int:
    if side not in ("BUY", "SELL"):
        raise DataError(f"side is {side!r}", expected="BUY or SELL")
    units = state.units(quantity, contract.asset.code, f"{contract.item} quantity")
    if units <= 0:
        raise DataError(f"{contract.item}: quantity is {quantity}", expected="a positive quantity")
    return units if side == "BUY" else -units


def _value(contract: Contract, traded: int, price: Decimal) -> int:
    if not price.is_finite():
        raise DataError(f"{contract.item}: price is {price}", expected="a finite decimal")
    return contract.value(traded, price)


def _leg_postings(
    state: LedgerState,
    contract: Contract,
    venue: str,
    leg: Leg,
    traded: int,
    price: Decimal,
    value: int,
    transfer_fee: int = 0,
) -> list[Posting]:
    """Return the postings of one side; all that it pays and gets in the settlement currency is one of them."""
    item, currency = contract.item, contract.currency.code
    accounts = _accounts(leg.book, contract.asset.code, currency, venue, item)
    holding = state.holding(leg.book, item)
    closing, released, opened = contract.split(holding.quantity, holding.cost, traded, price, value)
    postings = [Posting(accounts.position, traded)]
    if opened != released:
        postings.append(Posting(accounts.cost, opened - released))
    if closing + released:
        postings.append(Posting(accounts.realised, closing + released))
    if leg.margined:
        place = holding.at(venue)
        parts = closing, released, opened
        if place.quantity != holding.quantity or place.financing != -holding.cost:  # it holds some elsewhere too
            parts = contract.split(place.quantity, -place.financing, traded, price, value)
        cash = _settle_margin(state, contract, venue, leg, place, value, parts, opened + closing, accounts, postings)
    elif contract.inverse:
        raise DataError(f"{item} is inverse and cannot be paid in full", expected="a margined leg")
    elif leg.settled is not None:
        raise DataError(f"{item}: a settled amount was given for a trade paid in full", expected="none")
    else:
        cash = -value
    if leg.commission:
        cash -= _commission(state, leg, venue, item, currency, postings)
    if transfer_fee:
        postings.append(Posting(accounts.transfer_fee, transfer_fee))
        cash -= transfer_fee
    if cash:
        postings.append(Posting(accounts.cash, cash))
    return postings


def _commission(state: LedgerState, leg: Leg, venue: str, item: str, currency: str, postings: list[Posting]) -> int:
    """Book the commission and return what of it is paid in `currency`; the rest is paid here."""
    paid_in = leg.commission_currency or currency
    commission = state.units(leg.commission, paid_in, "commission")
    postings.append(Posting(Account(leg.book, paid_in, FEES, venue, item), commission))
    if paid_in == currency:
        return commission
    postings.append(Posting(Account(leg.book, paid_in, CASH, venue), -commission))
    return 0


class _Accounts(NamedTuple):
    """The accounts a leg moves; made once per book, item and venue, because a run books the same ones all day."""

    position: Account
    cost: Account
    realised: Account
    cash: Account
    financing: Account
    difference: Account
    transfer_fee: Account


@lru_cache(4096)
def _accounts(book: str, asset: str, currency: str, venue: str, item: str) -> _Accounts:
    return _Accounts(
        Account(book, asset, POSITION, venue, item),
        Account(book, currency, COST, "", item),
        Account(book, currency, REALISED, "", item),
        Account(book, currency, CASH, venue),
        Account(book, currency, FINANCING, venue, item),
        Account(book, currency, VENUE_DIFFERENCE, venue, item),
        Account(book, currency, TRANSFER_FEE, "", item),
    )


def _settle_margin(
    state: LedgerState,
    contract: Contract,
    venue: str,
    leg: Leg,
    place: Placed,
    value: int,
    parts: tuple[int, int, int],
    booked: int,
    accounts: _Accounts,
    postings: list[Posting],
) -> int:
    """Return what the venue settled and book the rest.

    `parts` is how the trade divides what the book has at the venue, `booked` what cost and realised result came to.
    """
    closing, released, opened = parts
    expected = -closing - released
    settled = expected
    if leg.settled is not None:
        settled = state.units(leg.settled, contract.currency.code, "settled amount")
        _check_settled(contract, venue, leg, place, settled, expected, value)
    if released != opened:
        postings.append(Posting(accounts.financing, released - opened))
    # What the legs leave open is the venue's rounding, and, where an inverse position lies on several venues, the
    # difference between the averages of the parts and of the whole.
    rest = opened - released - settled - booked
    if rest:
        postings.append(Posting(accounts.difference, rest))
    return settled


def _check_settled(
    contract: Contract, venue: str, leg: Leg, place: Placed, settled: int, expected: int, value: int
) -> None:
    """Refuse what rounding cannot explain: two units, one more per trade since flat, and the noise of floats."""
    noise = (abs(place.financing) + abs(value)) * (place.trades + 1) >> FLOAT_NOISE_BITS
    if abs(settled - expected) > 2 + place.trades + noise:
        decimals = contract.currency.decimals
        raise ReconciliationError(
            f"{venue} settled {from_units(settled, decimals)} {contract.currency.code} for a trade of {leg.book} in "
            f"{contract.item}; the ledger expects {from_units(expected, decimals)}",
            expected="the same result but for rounding to the smallest unit",
            next_step="compare this book's fills with the venue's: one is missing, there twice or priced otherwise",
        )
