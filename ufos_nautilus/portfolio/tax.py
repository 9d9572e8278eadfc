"""Gains of tax lots: how long held, at which rate, in which order sold, and the losses that a wash sale takes away."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Literal, NamedTuple

from ufos_nautilus.errors import SpecError
from ufos_nautilus.portfolio.costs import cents
from ufos_nautilus.portfolio.securities import TaxLot

NS_PER_DAY = 86_400_000_000_000
LotOrder = Literal["fifo", "lifo", "highest_cost", "least_tax"]
LOT_ORDERS: tuple[LotOrder, ...] = ("fifo", "lifo", "highest_cost", "least_tax")


@dataclass(frozen=True, slots=True, kw_only=True)
class TaxRules:
    """How gains are taxed. A model for planning, not advice.

    Parameters
    ----------
    short_rate, long_rate : Decimal
        Tax on gains of lots held at most, and more than, `long_after_days`; fractions. Losses save as much.
    long_after_days : int
        Days after which a lot counts as held long.
    wash_days : int
        A loss is not deductible where the name was bought within this many days; a name sold at a loss is not bought
        again for as long.
    order : {"fifo", "lifo", "highest_cost", "least_tax"}
        Which lots a sale closes first.
    weight : Decimal
        What one unit of tax weighs against one unit of deviation from the target in an exact plan; 0 ignores tax.

    """

    short_rate: Decimal = Decimal("0.37")
    long_rate: Decimal = Decimal("0.20")
    long_after_days: int = 365
    wash_days: int = 30
    order: LotOrder = "fifo"
    weight: Decimal = Decimal(0)

    def __post_init__(self) -> None:
        for name in ("short_rate", "long_rate"):
            value: Decimal = getattr(self, name)
            if not value.is_finite() or not 0 <= value < 1:
                raise SpecError(f"tax {name} is {value}", expected="a fraction from 0 to below 1")
        if not self.weight.is_finite() or not 0 <= self.weight <= 100:
            raise SpecError(f"tax weight is {self.weight}", expected="0 to 100")
        if self.long_after_days < 0 or self.wash_days < 0:
            raise SpecError("days of a tax rule are negative", expected="whole days of zero or more")
        if self.order not in LOT_ORDERS:
            raise SpecError(f"there is no lot order {self.order!r}", expected=", ".join(LOT_ORDERS))


class Slice(NamedTuple):
    """Whole steps of one tax lot and what selling one of them means; a step is the security's smallest quantity."""

    ref: str
    opened_ns: int
    steps: int
    cost_per_step: Decimal
    gain_per_step: Decimal
    """At the planned price, before costs."""
    long_term: bool
    tax_per_step: Decimal
    """Negative where selling saves tax."""
    washed: bool
    """The loss is not deductible."""


def slices_of(
    lots: Sequence[TaxLot], step: Decimal, price: Decimal, now_ns: int, rules: TaxRules
) -> tuple[list[Slice], Decimal]:
    """Cut the lots of one security into whole steps, in the order in which a sale closes them.

    Parameters
    ----------
    lots : sequence of TaxLot
        All of one symbol.
    step : Decimal
        Smallest quantity traded.
    price : Decimal
        Planned price.
    now_ns : int
        Time of the plan, UNIX nanoseconds.
    rules : TaxRules
        Rates, order and wash-sale days.

    Returns
    -------
    list of Slice and Decimal
        The slices, and units that are no whole step and stay.

    """
    recent = {lot.ref for lot in lots if now_ns - lot.opened_ns <= rules.wash_days * NS_PER_DAY}
    out: list[Slice] = []
    odd = Decimal(0)
    for lot in lots:
        steps = int(lot.quantity // step)
        odd += lot.quantity - steps * step
        if not steps:
            continue
        cost = lot.cost / lot.quantity * step
        gain = price * step - cost
        long_term = now_ns - lot.opened_ns > rules.long_after_days * NS_PER_DAY
        washed = gain < 0 and bool(recent - {lot.ref})
        rate = rules.long_rate if long_term else rules.short_rate
        tax = Decimal(0) if washed else gain * rate
        out.append(Slice(lot.ref, lot.opened_ns, steps, cost, gain, long_term, tax, washed))
    return ordered(out, rules.order), odd


def ordered(slices: Sequence[Slice], order: LotOrder) -> list[Slice]:
    """Return slices in the order in which they are sold; ties by age, then by name."""
    by_age = sorted(slices, key=lambda s: (s.opened_ns, s.ref))
    if order == "lifo":
        return by_age[::-1]
    if order == "highest_cost":
        return sorted(by_age, key=lambda s: -s.cost_per_step)
    if order == "least_tax":
        return sorted(by_age, key=lambda s: s.tax_per_step)
    return by_age


def take(slices: Sequence[Slice], steps: int) -> list[tuple[Slice, int]]:
    """Return the first `steps` steps as (slice, steps)."""
    taken: list[tuple[Slice, int]] = []
    for part in slices:
        if steps <= 0:
            break
        count = min(steps, part.steps)
        taken.append((part, count))
        steps -= count
    return taken


class TaxEffect(NamedTuple):
    """Gains that a plan realises, base currency."""

    short_gain: Decimal
    long_gain: Decimal
    washed_loss: Decimal
    """Losses that are not deductible, zero or negative."""
    tax: Decimal
    """Estimated; negative is saved."""


def effect(sold: Mapping[str, Sequence[tuple[Slice, int]]]) -> TaxEffect:
    """Return what selling these slices realises."""
    short = long = washed = tax = Decimal(0)
    for parts in sold.values():
        for part, steps in parts:
            gain = part.gain_per_step * steps
            tax += part.tax_per_step * steps
            if part.washed:
                washed += gain
            elif part.long_term:
                long += gain
            else:
                short += gain
    return TaxEffect(cents(short), cents(long), cents(washed), cents(tax))
