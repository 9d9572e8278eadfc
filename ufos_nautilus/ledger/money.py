"""Whole units and the one place where amounts are rounded: half to even, to the smallest unit of the asset.

Rules of rounding
-----------------
1. An amount in the journal is an integer of the asset's smallest unit. A decimal that does not fit is refused
   (`to_units`), never rounded in silence.
2. A product or quotient (price times quantity, a rate times an amount) is computed exactly and rounded once, half to
   even (`half_even`).
3. A part of an amount is rounded half to even and the rest stays where it was; the last part takes all that is left
   (`share`). So nothing is lost or made, whatever the number of parts.
"""

from decimal import ROUND_HALF_EVEN, Context, Decimal

from ufos_nautilus.errors import DataError, LimitExceededError
from ufos_nautilus.limits import LEDGER_UNITS_MAX

EXACT = Context(prec=34, rounding=ROUND_HALF_EVEN)
"""Context of quotients that are shown but never booked, such as an average price."""


def half_even(numerator: int, denominator: int) -> int:
    """Return the nearest integer to a fraction, ties to the even one.

    Parameters
    ----------
    numerator : int
        Any integer.
    denominator : int
        Not zero.

    Returns
    -------
    int
        ``numerator / denominator`` rounded half to even.

    """
    if denominator < 0:
        numerator, denominator = -numerator, -denominator
    quotient, rest = divmod(numerator, denominator)
    twice = 2 * rest
    return quotient + 1 if twice > denominator or (twice == denominator and quotient & 1) else quotient


def share(amount: int, part: int, whole: int) -> int:
    """Return the share of `amount` that belongs to `part` of `whole`; all of it where the part is the whole.

    Parameters
    ----------
    amount : int
        What is shared, in smallest units; any sign.
    part, whole : int
        ``0 <= part <= whole`` and `whole` positive.

    """
    return amount if part == whole else half_even(amount * part, whole)


def to_units(value: Decimal, decimals: int, what: str = "amount") -> int:
    """Return a decimal amount as an integer of smallest units, exactly.

    Parameters
    ----------
    value : Decimal
        The amount.
    decimals : int
        Decimals of the asset.
    what : str
        Names the amount in an error.

    Raises
    ------
    DataError
        If the amount is not finite or has more decimals than the asset.
    LimitExceededError
        If it does not fit 63 bits.

    """
    if not value.is_finite():
        raise DataError(f"{what} is {value}", expected="a finite decimal")
    numerator, denominator = value.as_integer_ratio()
    units, rest = divmod(numerator * 10**decimals, denominator)
    if rest:
        raise DataError(
            f"{what} {value} has more decimals than the asset",
            expected=f"at most {decimals} decimals",
            next_step="round it by the rule that made it before booking it",
        )
    if abs(units) > LEDGER_UNITS_MAX:
        raise LimitExceededError(
            f"{what} {value} is {units} smallest units", expected=f"at most {LEDGER_UNITS_MAX} (63 bits)"
        )
    return units


def from_units(units: int, decimals: int) -> Decimal:
    """Return an integer of smallest units as a decimal with exactly `decimals` decimals."""
    return Decimal(units).scaleb(-decimals, EXACT)


def quotient(numerator: int, denominator: int) -> Decimal:
    """Return a fraction as a decimal of 34 digits, for showing only."""
    return EXACT.divide(Decimal(numerator), Decimal(denominator))
