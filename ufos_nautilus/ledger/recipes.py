"""Posting recipes of everything that is no trade, one function each; each returns a draft and changes nothing."""

from collections.abc import Mapping
from decimal import Decimal

from ufos_nautilus.errors import DataError
from ufos_nautilus.ledger.accounts import (
    CAPITAL,
    CASH,
    COST,
    FEES,
    FUNDING,
    FX,
    POSITION,
    TRANSFER_FEE,
    Account,
    Asset,
    root_and_venue,
)
from ufos_nautilus.ledger.contracts import Contract
from ufos_nautilus.ledger.journal import Draft, Entry, Posting, add_pair, reversal_problem
from ufos_nautilus.ledger.state import LedgerState

Meta = Mapping[str, str | int]


def define_asset(asset: Asset, *, ts_ns: int = 0) -> Draft:
    """Return the entry that gives an asset its smallest unit, for the life of the ledger."""
    return Draft("asset", ts_ns, f"asset {asset.code}", (), {"code": asset.code, "decimals": asset.decimals})


def define_contract(contract: Contract, *, ts_ns: int = 0) -> Draft:
    """Return the entry that gives a root symbol its terms; both its assets must be defined before."""
    return Draft("contract", ts_ns, f"contract {contract.item}", (), contract.to_dict())


def definitions(state: LedgerState, *terms: Asset | Contract, ts_ns: int = 0) -> list[Draft]:
    """Return the entries that define assets and contracts, leaving out what the ledger has already.

    Raises
    ------
    DataError
        If the ledger has other terms for one of them.

    """
    fresh = LedgerState()
    fresh.assets, fresh.contracts = dict(state.assets), dict(state.contracts)
    drafts: list[Draft] = []
    for term in terms:
        parts: list[Asset | Contract] = [term]
        if isinstance(term, Contract):
            parts = [term.asset, term.currency, term]
        for part in parts:
            draft = (
                define_contract(part, ts_ns=ts_ns) if isinstance(part, Contract) else define_asset(part, ts_ns=ts_ns)
            )
            known = part.item in fresh.contracts if isinstance(part, Contract) else part.code in fresh.assets
            fresh.apply(draft)
            if not known:
                drafts.append(draft)
    return drafts


def deposit(
    state: LedgerState,
    *,
    ts_ns: int,
    ref: str,
    book: str,
    currency: str,
    amount: Decimal,
    venue: str = "",
    meta: Meta | None = None,
) -> Draft:
    """Return the entry of money that an owner puts into a book, held at `venue`."""
    units = state.positive(amount, currency, "deposit")
    return _capital(state, "deposit", ts_ns, ref, Account(book, currency, CASH, venue), units, meta)


def withdrawal(
    state: LedgerState,
    *,
    ts_ns: int,
    ref: str,
    book: str,
    currency: str,
    amount: Decimal,
    venue: str = "",
    meta: Meta | None = None,
) -> Draft:
    """Return the entry of money that an owner takes out of a book, from `venue`."""
    units = state.positive(amount, currency, "withdrawal")
    return _capital(state, "withdrawal", ts_ns, ref, Account(book, currency, CASH, venue), -units, meta)


def _capital(
    state: LedgerState, kind: str, ts_ns: int, ref: str, cash: Account, units: int, meta: Meta | None
) -> Draft:
    postings = (Posting(cash, units), Posting(Account(cash.book, cash.asset, CAPITAL), -units))
    return Draft(kind, ts_ns, ref, postings, dict(meta or {}))


def deposit_in_kind(
    state: LedgerState,
    *,
    ts_ns: int,
    ref: str,
    book: str,
    instrument_id: str,
    quantity: Decimal,
    price: Decimal,
    meta: Meta | None = None,
) -> Draft:
    """Return the entry of holdings that an owner brings along, at the price they count as capital with."""
    item, venue = root_and_venue(instrument_id)
    contract = state.contract(item)
    units = state.positive(quantity, contract.asset.code, "deposit in kind")
    if contract.inverse:
        raise DataError(f"{item} is inverse", expected="holdings that can be owned")
    value = contract.value(units, price)
    currency = contract.currency.code
    postings = [
        Posting(Account(book, contract.asset.code, POSITION, venue, item), units),
        Posting(Account(book, contract.asset.code, CAPITAL, "", item), -units),
    ]
    add_pair(postings, Account(book, currency, COST, "", item), Account(book, currency, CAPITAL), value)
    about = {"instrument_id": instrument_id, "price": format(price, "f"), "side": "BUY", "book": book}
    return Draft("deposit", ts_ns, ref, tuple(postings), {**(meta or {}), **about})


def transfer(
    state: LedgerState,
    *,
    ts_ns: int,
    ref: str,
    payer: str,
    payee: str,
    currency: str,
    amount: Decimal,
    venue: str = "",
    payee_venue: str | None = None,
    meta: Meta | None = None,
) -> Draft:
    """Return the entry of money that moves between books (capital) or, in one book, between venues.

    Parameters
    ----------
    state : LedgerState
        For the smallest unit.
    ts_ns, ref, meta
        As in every recipe.
    payer, payee : str
        Books; the same for a move between venues.
    currency, amount
        What moves, positive.
    venue, payee_venue : str
        From where and to where; the same place unless given.

    """
    units = state.positive(amount, currency, "transfer")
    to = venue if payee_venue is None else payee_venue
    if payer == payee and venue == to:
        raise DataError(f"{payer} would pay itself at {venue!r}", expected="another book or another venue")
    postings: list[Posting] = []
    add_pair(postings, Account(payee, currency, CASH, to), Account(payer, currency, CASH, venue), units)
    if payer != payee:
        add_pair(postings, Account(payer, currency, CAPITAL), Account(payee, currency, CAPITAL), units)
    return Draft("transfer", ts_ns, ref, tuple(postings), dict(meta or {}))


def fee(
    state: LedgerState,
    *,
    ts_ns: int,
    ref: str,
    book: str,
    currency: str,
    amount: Decimal,
    venue: str = "",
    item: str = "",
    meta: Meta | None = None,
) -> Draft:
    """Return the entry of a fee (positive) or rebate (negative) that comes apart from a fill."""
    return _result("fee", FEES, state, ts_ns, ref, book, currency, amount, venue, item, meta)


def funding(
    state: LedgerState,
    *,
    ts_ns: int,
    ref: str,
    book: str,
    instrument_id: str,
    amount: Decimal,
    meta: Meta | None = None,
) -> Draft:
    """Return the entry of a funding payment of a perpetual contract: `amount` paid (positive) or received."""
    item, venue = root_and_venue(instrument_id)
    currency = state.contract(item).currency.code
    return _result("funding", FUNDING, state, ts_ns, ref, book, currency, amount, venue, item, meta)


def _result(
    kind: str,
    role: str,
    state: LedgerState,
    ts_ns: int,
    ref: str,
    book: str,
    currency: str,
    amount: Decimal,
    venue: str,
    item: str,
    meta: Meta | None,
) -> Draft:
    units = state.units(amount, currency, kind)
    if not units:
        raise DataError(f"{kind} {ref!r} is zero", expected="an amount")
    postings = (
        Posting(Account(book, currency, CASH, venue), -units),
        Posting(Account(book, currency, role, venue, item), units),
    )
    return Draft(kind, ts_ns, ref, postings, dict(meta or {}))


def transfer_fee(
    state: LedgerState,
    *,
    ts_ns: int,
    ref: str,
    payer: str,
    payee: str,
    instrument_id: str,
    amount: Decimal,
    payee_venue: str = "",
    meta: Meta | None = None,
) -> Draft:
    """Return the entry of the fee that one book pays another for a cross, instead of the spread.

    The payer's cash at the instrument's venue pays it; the payee holds it at `payee_venue`, by default the house's own
    till.
    """
    item, venue = root_and_venue(instrument_id)
    currency = state.contract(item).currency.code
    if payer == payee:
        raise DataError(f"{payer} would pay a transfer fee to itself", expected="two books")
    units = state.positive(amount, currency, "transfer fee")
    postings: list[Posting] = []
    add_pair(postings, Account(payer, currency, TRANSFER_FEE, "", item), Account(payer, currency, CASH, venue), units)
    add_pair(
        postings, Account(payee, currency, CASH, payee_venue), Account(payee, currency, TRANSFER_FEE, "", item), units
    )
    return Draft("transfer_fee", ts_ns, ref, tuple(postings), {**(meta or {}), "instrument_id": instrument_id})


def exchange(
    state: LedgerState,
    *,
    ts_ns: int,
    ref: str,
    book: str,
    sold: str,
    sold_amount: Decimal,
    bought: str,
    bought_amount: Decimal,
    venue: str = "",
    meta: Meta | None = None,
) -> Draft:
    """Return the entry of a currency exchange: `sold_amount` of one currency for `bought_amount` of another."""
    if sold == bought:
        raise DataError(f"{book} would exchange {sold} for itself", expected="two currencies")
    paid = state.positive(sold_amount, sold, "exchange")
    got = state.positive(bought_amount, bought, "exchange")
    postings: list[Posting] = []
    add_pair(postings, Account(book, sold, FX), Account(book, sold, CASH, venue), paid)
    add_pair(postings, Account(book, bought, CASH, venue), Account(book, bought, FX), got)
    return Draft("fx", ts_ns, ref, tuple(postings), dict(meta or {}))


def reversal(entry: Entry, *, ts_ns: int, ref: str, reason: str) -> Draft:
    """Return the entry that takes back another one: the same postings with the opposite sign.

    Corrections are made in no other way; what is right is then booked anew, under a reference of its own.

    Parameters
    ----------
    entry : Entry
        What was wrong.
    ts_ns, ref
        Of the correction.
    reason : str
        Kept with the entry.

    Raises
    ------
    DataError
        If the entry is a definition or itself a reversal.

    """
    postings = tuple(Posting(account, -amount) for account, amount in entry.postings)
    draft = Draft("reversal", ts_ns, ref, postings, {"reason": reason, "of": entry.ref}, entry.seq)
    problem = reversal_problem(draft, entry)
    if problem:
        raise DataError(f"a reversal of entry {entry.seq} {problem}", expected="an entry that moved something")
    return draft
