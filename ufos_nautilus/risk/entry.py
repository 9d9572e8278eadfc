"""The one entry for whoever proposes orders without being a book: plans, node commands, assistants.

Nothing is sent from here. Orders are judged one after the other as if those before them that passed were open, so that
a set of orders can't get past a limit that each of them alone would keep.
"""

from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Literal, NamedTuple

from ufos_nautilus.errors import DataError
from ufos_nautilus.risk.checks import OrderView, Violation, check, count
from ufos_nautilus.risk.compiled import Limits
from ufos_nautilus.risk.fixed import SCALE, to_fixed
from ufos_nautilus.risk.state import Account, Firm, mark


class Proposal(NamedTuple):
    """An order somebody would like to send."""

    book: str
    instrument: str
    side: Literal["BUY", "SELL"]
    quantity: Decimal
    price: Decimal | None = None
    """Limit; None follows the market."""
    reduce_only: bool = False


class Verdict(NamedTuple):
    """What the check says of one proposal; it may be sent if there is no violation."""

    proposal: Proposal
    violations: tuple[Violation, ...]


class Holding(NamedTuple):
    """Units of an instrument and its price, at the time of the proposal."""

    instrument: str
    quantity: Decimal
    price: Decimal
    currency: str


def judge(proposals: Iterable[Proposal], firm: Firm, limits: Limits, now_ns: int) -> list[Verdict]:
    """Judge proposals in order; what passes counts as open for the rest.

    Parameters
    ----------
    proposals : iterable of Proposal
        Orders in the sequence in which they would be sent.
    firm : Firm
        What is held; it is changed by what passes, so hand in a state of your own.
    limits : Limits
        In force.
    now_ns : int
        UNIX nanoseconds.

    """
    out = []
    for proposal in proposals:
        if proposal.quantity <= 0:
            raise DataError(f"{proposal.instrument}: quantity {proposal.quantity}", expected="more than zero")
        sign = 1 if proposal.side == "BUY" else -1
        price = None if proposal.price is None else to_fixed(proposal.price)
        view = OrderView(
            proposal.book, proposal.instrument, sign, to_fixed(proposal.quantity), price, now_ns, proposal.reduce_only
        )
        found = check(view, firm, limits)
        out.append(Verdict(proposal, found))
        slot = firm.slot(proposal.book, proposal.instrument)
        if not found and slot is not None:
            slot.open(sign, view.quantity, exits=proposal.reduce_only)
            count(view, slot, limits.slot(proposal.book, slot.book.kind, slot.instrument.id))
    return out


def firm_of_book(
    limits: Limits, book: str, kind: str, capital: Decimal, holdings: Iterable[Holding], currency: str, now_ns: int
) -> Firm:
    """Return the state of a firm with one book, as a plan knows it: cash has been taken care of by the plan.

    Parameters
    ----------
    limits : Limits
        For rates; a currency without one leaves its instruments unknown, so that their orders are denied.
    book, kind : str
        Whose.
    capital : Decimal
        Net asset value, in `currency`.
    holdings : iterable of Holding
        Everything held or to be traded.
    currency : str
        Of the capital.
    now_ns : int
        UNIX nanoseconds.

    """
    firm = Firm()
    rate = limits.rate(currency)
    allocated = limits.capital(book)
    if allocated is None and rate is not None:
        allocated = to_fixed(capital) * rate // SCALE
    firm.add_book(book, kind, allocated)
    held: Mapping[str, Holding] = {h.instrument: h for h in holdings}
    for name, holding in held.items():
        own = limits.rate(holding.currency)
        if own is None:
            continue
        instrument = firm.add_instrument(name, rate=own, settle_rate=own, currency=holding.currency)
        mark(instrument, to_fixed(holding.price), now_ns, exact=True)
        slot = firm.slot(book, name)
        if slot is not None and holding.quantity:
            slot.fill(1 if holding.quantity > 0 else -1, abs(to_fixed(holding.quantity)), instrument.valued)
    for venue in firm.venues:
        funds = {currency: allocated or 0}
        firm.set_account(venue, Account(cash=False, funds=funds, leverage=SCALE, seen_ns=now_ns))
    return firm
