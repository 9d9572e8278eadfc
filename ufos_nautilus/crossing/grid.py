"""Whole-number prices and sizes of one symbol: prices in half units so that every midpoint is exact."""

from dataclasses import dataclass
from decimal import Context, Decimal, DivisionByZero, Inexact, InvalidOperation, Overflow, Underflow
from typing import Final, Self

from ufos_nautilus.errors import DataError, SpecError
from ufos_nautilus.market.instruments import InstrumentSpec

EXACT: Final = Context(
    prec=120, Emin=-999, Emax=999, traps=[Inexact, InvalidOperation, Overflow, Underflow, DivisionByZero]
)
"""Decimal context for sums and products of prices, sizes and multipliers: it raises where it would have to round."""
ROUNDING: Final = Context(prec=120, Emin=-999, Emax=999)
"""Decimal context for ratios, which may round."""


def exact(value: int, decimals: int) -> Decimal:
    """Return ``value * 10**-decimals`` without rounding."""
    return EXACT.scaleb(Decimal(value), -decimals)


def root_symbol(instrument_id: str) -> str:
    """Return the symbol under which all venues of a name cross: the id up to its last dot.

    Raises
    ------
    SpecError
        If the id names no venue.

    """
    root, dot, venue = instrument_id.rpartition(".")
    if not (dot and root and venue):
        raise SpecError(f"instrument id {instrument_id!r} names no venue", expected="SYMBOL.VENUE, such as AAPL.XNAS")
    return root


@dataclass(frozen=True, slots=True, kw_only=True)
class Grid:
    """Turns decimals into integers and back.

    A quote price is a whole number of ``10**-price_precision`` ("units"). Inside the crossing core prices are held in
    *half units*, so the midpoint of two quotes is ``bid_units + ask_units``, whole even for an odd spread.

    Parameters
    ----------
    price_precision, size_precision : int
        Decimals of quoted prices and of sizes.
    lot : int
        Smallest step of a size, in ``10**-size_precision``.
    multiplier : Decimal
        Currency per price point and unit of size.
    currency : str
        What prices are in.

    """

    price_precision: int
    size_precision: int
    lot: int = 1
    multiplier: Decimal = Decimal(1)
    currency: str = "USD"

    def __post_init__(self) -> None:
        if not (0 <= self.price_precision <= 16 and 0 <= self.size_precision <= 16 and self.lot >= 1):
            raise SpecError(f"no grid: {self}", expected="precisions from 0 to 16 and a lot of at least 1")

    @classmethod
    def from_instrument(cls, spec: InstrumentSpec) -> Self:
        """Return the grid of an instrument.

        Raises
        ------
        SpecError
            For inverse contracts: a midpoint in price is none in value there, so they are not crossed.

        """
        if spec.inverse:
            raise SpecError(
                f"{spec.instrument_id} is an inverse contract",
                expected="an instrument whose value is price times size",
                next_step="send its tickets to the market",
            )
        return cls(
            price_precision=spec.price_precision,
            size_precision=spec.size_precision,
            lot=int(spec.lot_size.scaleb(spec.size_precision)),
            multiplier=spec.multiplier,
            currency=spec.quote,
        )

    def price_units(self, price: Decimal) -> int:
        """Return a quoted price in units; `DataError` if it has more decimals than the grid."""
        return _whole(price, self.price_precision, 1, "price")

    def half_units(self, price: Decimal) -> int:
        """Return a price or limit in half units; half of a unit is allowed, finer is a `DataError`."""
        return _whole(price, self.price_precision, 2, "price")

    def size_units(self, size: Decimal) -> int:
        """Return a size in units of ``10**-size_precision``; `DataError` unless it is a whole number of lots."""
        units = _whole(size, self.size_precision, 1, "size")
        if units % self.lot:
            raise DataError(
                f"size {size} is not a whole number of lots", expected=f"a multiple of {self.size(self.lot)}"
            )
        return units

    def price(self, half_units: int) -> Decimal:
        """Return half units as a price, exactly."""
        if half_units % 2 == 0:
            return exact(half_units // 2, self.price_precision)
        return exact(half_units * 5, self.price_precision + 1)

    def size(self, units: int) -> Decimal:
        """Return size units as a size, exactly."""
        return exact(units, self.size_precision)

    def money(self, half_units: int, size_units: int) -> Decimal:
        """Return the currency value of a price (or price difference) times a size, exactly."""
        value = exact(half_units * size_units * 5, self.price_precision + self.size_precision + 1)
        return EXACT.multiply(value, self.multiplier)


def _whole(value: Decimal, precision: int, factor: int, what: str) -> int:
    try:
        scaled = EXACT.multiply(value, _SCALES[precision] * factor)
        whole = int(scaled)
    except (TypeError, ValueError, ArithmeticError):
        raise DataError(f"{what} {value!r} is no price or size", expected="a finite Decimal") from None
    if scaled != whole:
        halves = " or a half of the last" if factor == 2 else ""
        raise DataError(f"{what} {value} is off the grid", expected=f"at most {precision} decimals{halves}")
    return whole


_SCALES: Final = tuple(10**n for n in range(17))
