"""Exact fixed-point numbers: quantities, prices and money of this room are whole numbers of 10^-16."""

from decimal import Decimal
from functools import lru_cache
from typing import Final

from ufos_nautilus.errors import SpecError

DECIMALS: Final = 16
"""The engine's own fixed point, so that no number is converted on its way through the gate."""
SCALE: Final = 10**DECIMALS


def to_fixed(value: Decimal | int | str) -> int:
    """Return `value` in units of 10^-16.

    Raises
    ------
    SpecError
        If it has more decimals than that or is not finite.

    """
    number = Decimal(value)
    if not number.is_finite():
        raise SpecError(f"{value} is no number", expected="a finite decimal")
    top, bottom = number.as_integer_ratio()
    fixed, rest = divmod(top * SCALE, bottom)
    if rest:
        raise SpecError(f"{value} has more than {DECIMALS} decimals", expected=f"at most {DECIMALS}")
    return fixed


def from_fixed(value: int) -> Decimal:
    """Return the exact decimal of a number of 10^-16."""
    sign, digits = (1, -value) if value < 0 else (0, value)
    return Decimal((sign, tuple(map(int, str(digits))), -DECIMALS))


@lru_cache(maxsize=8192)
def text(value: int) -> str:
    """Return plain digits without trailing zeros, for messages and records; the same sizes and prices come again."""
    whole, rest = divmod(-value if value < 0 else value, SCALE)
    digits = f"{whole}.{rest:016d}".rstrip("0") if rest else str(whole)
    return f"-{digits}" if value < 0 else digits
