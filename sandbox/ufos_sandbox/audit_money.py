"""Recomputes commissions, positions and balances from the fills, to the smallest unit of each currency."""

from collections import defaultdict
from decimal import ROUND_HALF_EVEN, Decimal
from typing import Any, Final

from ufos_nautilus.market.instruments import InstrumentSpec
from ufos_sandbox.findings import Findings
from ufos_sandbox.messages import Fill, GuestResult
from ufos_sandbox.slices import Slice

WHOLE_UNITS: Final = frozenset({"JPY", "KRW"})
CENTS: Final = frozenset(
    {"AUD", "BRL", "CAD", "CHF", "CNH", "CNY", "CZK", "DKK", "EUR", "GBP", "HKD", "HUF", "ILS", "INR", "MXN", "MYR",
     "NOK", "NZD", "PLN", "RUB", "SAR", "SEK", "SGD", "THB", "TRY", "TWD", "USD", "ZAR"}
)  # fmt: skip
FILLS_PER_UNIT: Final = 50
"""Rounding may move a balance by one smallest unit in so many fills."""


def step(currency: str) -> Decimal:
    """Return the smallest unit of a currency as the engine rounds it."""
    return Decimal(1) if currency in WHOLE_UNITS else Decimal("0.01") if currency in CENTS else Decimal("1e-8")


class Position:
    """A netted position at its average price."""

    def __init__(self, instrument: InstrumentSpec) -> None:
        self.instrument = instrument
        self.quantity = Decimal(0)
        self.average = Decimal(0)
        self.largest = Decimal(0)

    def value(self, quantity: Decimal, price: Decimal) -> Decimal:
        """Return what a quantity is worth at a price, in the settlement currency."""
        i = self.instrument
        return quantity * i.multiplier / price if i.inverse else quantity * i.multiplier * price

    def profit(self, quantity: Decimal, entry: Decimal, price: Decimal) -> Decimal:
        """Return the profit of a signed quantity from `entry` to `price`."""
        if self.instrument.inverse:
            return self.value(quantity, entry) - self.value(quantity, price)
        return self.value(quantity, price) - self.value(quantity, entry)

    def add(self, signed: Decimal, price: Decimal) -> Decimal:
        """Trade a signed quantity and return the profit it realises."""
        before, after = self.quantity, self.quantity + signed
        closing = Decimal(0) if before * signed >= 0 else min(abs(before), abs(signed)).copy_sign(before)
        profit = self.profit(closing, self.average, price) if closing else Decimal(0)
        if before * signed >= 0:
            self.average = (self.average * abs(before) + price * abs(signed)) / abs(after) if after else Decimal(0)
        elif before * after < 0:
            self.average = price
        elif not after:
            self.average = Decimal(0)
        self.quantity, self.largest = after, max(self.largest, abs(after))
        return profit


class Books:
    """Accounts and positions replayed from fills."""

    def __init__(self, part: Slice, spec: dict[str, Any]) -> None:
        self.part = part
        self.venues = {v["name"]: v for v in spec["venues"]}
        self.balances: dict[tuple[str, str], Decimal] = {}
        for venue in spec["venues"]:
            for text in venue["balances"]:
                amount, _, code = text.partition(" ")
                self.balances[venue["name"], code] = Decimal(amount)
        self.start = dict(self.balances)
        self.positions: dict[str, Position] = {}
        self.fees: dict[str, Decimal] = defaultdict(Decimal)
        self.turnover: dict[str, Decimal] = defaultdict(Decimal)
        self.realised: dict[str, Decimal] = defaultdict(Decimal)
        self.wins = self.losses = 0

    def add(self, fill: Fill) -> None:
        """Book one fill."""
        instrument = self.part.instruments[fill.instrument_id]
        venue = instrument.venue
        price, quantity = Decimal(fill.price), Decimal(fill.quantity)
        signed = quantity if fill.side == "BUY" else -quantity
        position = self.positions.setdefault(fill.instrument_id, Position(instrument))
        profit = position.add(signed, price)
        self.wins += profit > 0
        self.losses += profit < 0
        code = instrument.settlement
        self.realised[code] += profit
        self.turnover[code] += position.value(quantity, price)
        self._book(venue, fill.commission_currency, -Decimal(fill.commission))
        self.fees[fill.commission_currency] += Decimal(fill.commission)
        if self.venues[venue]["account"] == "cash":
            self._book(venue, instrument.quote, -_rounded(signed * instrument.multiplier * price, instrument.quote))
            if instrument.kind == "currency_pair":
                self._book(venue, instrument.base, signed)
        else:
            self._book(venue, code, _rounded(profit, code))

    def _book(self, venue: str, code: str, amount: Decimal) -> None:
        self.balances[venue, code] = self.balances.get((venue, code), Decimal(0)) + amount


def audit_money(result: GuestResult, part: Slice, spec: dict[str, Any], findings: Findings) -> Books:
    """Compare commissions and final balances with what the fills give.

    Returns
    -------
    Books
        Accounts and positions after the last fill, as the host has them.

    """
    books = Books(part, spec)
    orders_charged: set[str] = set()
    for fill in result.fills:
        if fill.instrument_id not in part.instruments:
            continue
        _check_commission(fill, part, books.venues, orders_charged, findings)
        books.add(fill)
    if any(v.get("funding") for v in spec["venues"]):
        findings.unclear("balances that funding payments changed")
        return books
    if any(v["base_currency"] for v in spec["venues"]):
        findings.unclear("balances of single-currency accounts, which the engine converts")
        return books
    tolerance_units = 1 + len(result.fills) // FILLS_PER_UNIT
    for venue in spec["venues"]:
        reported = result.balances.get(venue["name"], {})
        codes = {code for name, code in books.balances if name == venue["name"]} | set(reported)
        for code in sorted(codes):
            wanted = books.balances.get((venue["name"], code), Decimal(0))
            came = Decimal(reported.get(code, "0"))
            if abs(wanted - came) > tolerance_units * step(code):
                findings.against(f"{venue['name']} is reported to hold {came:f} {code}; the fills leave {wanted:f}")
    extra = sorted(set(result.balances) - {v["name"] for v in spec["venues"]})
    if extra:
        findings.against(f"balances are reported for {', '.join(extra)}, which is no venue of the run")
    return books


def _check_commission(fill: Fill, part: Slice, venues: dict[str, Any], charged: set[str], findings: Findings) -> None:
    instrument = part.instruments[fill.instrument_id]
    fees = venues[instrument.venue]["fees"]
    price, quantity = Decimal(fill.price), Decimal(fill.quantity)
    match fees["model"]:
        case "maker_taker":
            rate = Decimal(str(fees["maker_rate" if fill.liquidity == "MAKER" else "taker_rate"]))
            wanted, code = Position(instrument).value(quantity, price) * rate, instrument.settlement
            if instrument.inverse:
                code = instrument.base
        case "fixed":
            amount, _, code = fees["amount"].partition(" ")
            wanted = Decimal(0) if fill.client_order_id in charged else Decimal(amount)
            charged.add(fill.client_order_id)
        case _:
            amount, _, code = fees["amount"].partition(" ")
            wanted = Decimal(amount) * quantity
    came = Decimal(fill.commission)
    if fill.commission_currency != code and came:
        findings.unclear(f"commission in {fill.commission_currency} instead of {code}")
    elif abs(came - wanted) > step(code):
        findings.against(f"fill {fill.trade_id} reports a commission of {came:f} {code}; the venue takes {wanted:f}")


def _rounded(amount: Decimal, code: str) -> Decimal:
    return amount.quantize(step(code), ROUND_HALF_EVEN)
