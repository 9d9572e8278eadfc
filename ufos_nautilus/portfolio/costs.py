"""What trading costs: commission, half the spread, and market impact by the square root of the share of volume."""

from dataclasses import dataclass
from decimal import ROUND_HALF_EVEN, Decimal
from typing import NamedTuple

from ufos_nautilus.errors import SpecError
from ufos_nautilus.portfolio.securities import Price

CENT = Decimal("0.01")
BPS = Decimal("0.0001")


def cents(value: Decimal) -> Decimal:
    """Return an amount rounded half to even to the cent."""
    return value.quantize(CENT, ROUND_HALF_EVEN)


class Cost(NamedTuple):
    """Estimated cost of one order, base currency."""

    commission: Decimal
    half_spread: Decimal
    impact: Decimal

    @property
    def total(self) -> Decimal:
        """Return the sum of all parts."""
        return self.commission + self.half_spread + self.impact


@dataclass(frozen=True, slots=True, kw_only=True)
class CostModel:
    """Terms of trading.

    Parameters
    ----------
    per_unit : Decimal
        Commission per unit, base currency.
    rate_bps : Decimal
        Commission in basis points of value.
    minimum : Decimal
        Least commission of an order, base currency.
    half_spread_bps : Decimal
        Half the spread where a price names none, basis points of price.
    impact : Decimal
        Coefficient c of ``c * daily volatility * sqrt(quantity / daily volume)``, a fraction of price.

    """

    per_unit: Decimal = Decimal(0)
    rate_bps: Decimal = Decimal("0.3")
    minimum: Decimal = Decimal(0)
    half_spread_bps: Decimal = Decimal(2)
    impact: Decimal = Decimal("0.5")

    def __post_init__(self) -> None:
        for name in ("per_unit", "rate_bps", "minimum", "half_spread_bps", "impact"):
            value: Decimal = getattr(self, name)
            if not value.is_finite() or value < 0:
                raise SpecError(f"cost {name} is {value}", expected="a decimal of zero or more")

    def estimate(self, quantity: Decimal, price: Price) -> Cost:
        """Return what an order of this size is expected to cost, rounded to the cent part by part."""
        value = quantity * price.price
        if not value:
            return Cost(Decimal(0), Decimal(0), Decimal(0))
        commission = max(self.minimum, self.per_unit * quantity + self.rate_bps * BPS * value)
        impact = Decimal(0)
        if price.daily_volume and price.daily_volatility:
            share = (quantity / price.daily_volume).sqrt()
            impact = self.impact * price.daily_volatility * share * value
        return Cost(cents(commission), cents(self.spread_rate(price) * value), cents(impact))

    def spread_rate(self, price: Price) -> Decimal:
        """Return half the spread as a fraction of price."""
        if price.half_spread is not None:
            return price.half_spread / price.price
        return self.half_spread_bps * BPS

    def linear_rate(self, price: Price) -> Decimal:
        """Return the part of the cost that grows with value, as a fraction of it; minimum and impact are left out."""
        return self.rate_bps * BPS + self.per_unit / price.price + self.spread_rate(price)
