"""Small risk states for tests: a firm of three books in two instruments, built from a limits file."""

from decimal import Decimal
from typing import Any

from ufos_nautilus.risk.checks import OrderView
from ufos_nautilus.risk.compiled import Limits
from ufos_nautilus.risk.fixed import SCALE, to_fixed
from ufos_nautilus.risk.levels import Account
from ufos_nautilus.risk.rules_file import parse_rules
from ufos_nautilus.risk.state import Firm, mark

NOW_NS = 1_700_000_000_000_000_000
BOOKS = {"MM-1": "desk", "WM-1": "client", "AM-1": "strategy"}
PRICES = {"AAA.XSIM": "100", "BBB.XSIM": "20"}


def limits(**rules: Any) -> Limits:
    """Limits in dollars; without arguments only the fat-finger limit is set."""
    return Limits(parse_rules({"currency": "USD"} | rules))


def firm(capital: str | None = "100000") -> Firm:
    """Books with capital, instruments with prices, and a margin account; nothing held."""
    made = Firm()
    for book, kind in BOOKS.items():
        made.add_book(book, kind, None if capital is None else to_fixed(capital))
    for name, price in PRICES.items():
        mark(made.add_instrument(name, currency="USD"), to_fixed(price), NOW_NS, exact=True)
    made.set_account("XSIM", account())
    return made


def account(funds: str = "1000000", *, cash: bool = False, leverage: int = 10, seen_ns: int = NOW_NS) -> Account:
    """An account in dollars."""
    return Account(cash=cash, funds={"USD": to_fixed(funds)}, leverage=leverage * SCALE, seen_ns=seen_ns)


def order(
    quantity: str = "10",
    side: str = "BUY",
    price: str | None = None,
    book: str = "MM-1",
    instrument: str = "AAA.XSIM",
    replaced: str = "0",
    **fields: Any,
) -> OrderView:
    """What the check sees of an order."""
    return OrderView(
        book, instrument, 1 if side == "BUY" else -1, to_fixed(quantity), None if price is None else to_fixed(price),
        fields.pop("ts_ns", NOW_NS), replaced=to_fixed(replaced), **fields,
    )  # fmt: skip


def hold(of: Firm, units: str, book: str = "MM-1", instrument: str = "AAA.XSIM", price: str | None = None) -> None:
    """Give a book a position, bought or sold at `price` or else at the last price."""
    slot = of.slot(book, instrument)
    assert slot is not None
    amount = to_fixed(Decimal(units).copy_abs())
    sign = 1 if Decimal(units) > 0 else -1
    slot.fill(sign, amount, to_fixed(price) if price is not None else slot.instrument.valued)


def rest(of: Firm, units: str, side: str, book: str = "MM-1", instrument: str = "AAA.XSIM") -> None:
    """Count an open order of a book."""
    slot = of.slot(book, instrument)
    assert slot is not None
    slot.open(1 if side == "BUY" else -1, to_fixed(units))
