"""The one set of assumptions about a venue that all comparisons share; see honest.toml beside this file."""

import tomllib
from decimal import Decimal
from importlib.resources import files
from typing import Any

from ufos_nautilus.errors import SpecError
from ufos_nautilus.market.instruments import InstrumentSpec

TIERS = ("regular", "maker")
RATE_DECIMALS = Decimal("0.00000001")


def honest_defaults() -> dict[str, Any]:
    """Return the content of honest.toml."""
    return tomllib.loads(files("ufos_strategies").joinpath("honest.toml").read_text("utf-8"))


def honest_fees(spec: InstrumentSpec, tier: str, price: Decimal) -> dict[str, str]:
    """Return maker and taker rates of an instrument as a venue spec takes them.

    Parameters
    ----------
    spec : InstrumentSpec
        The instrument.
    tier : str
        One of `TIERS`.
    price : Decimal
        Price at which fees per unit become fractions of notional, price units.

    """
    if tier not in TIERS:
        raise SpecError(f"there is no fee tier {tier!r}", expected=f"one of {', '.join(TIERS)}")
    known = honest_defaults()
    rates = known["fees"].get(spec.kind)
    if rates is not None:
        return dict(rates[tier])
    per_unit = known["fees_per_unit"].get(spec.kind)
    if per_unit is None:
        raise SpecError(f"no fees are known for {spec.kind}", expected="an entry in honest.toml")
    notional = price * spec.multiplier
    return {
        f"{side}_rate": format((Decimal(per_unit[tier][side]) / notional).quantize(RATE_DECIMALS), "f")
        for side in ("maker", "taker")
    }


def honest_venue(spec: InstrumentSpec, tier: str, price: Decimal, *, book: str, balance: str) -> dict[str, Any]:
    """Return a venue for one instrument, as plain data of a run spec.

    Parameters
    ----------
    spec, tier, price
        As for `honest_fees`.
    book : str
        Depth that orders are matched against: ``L1``, ``L2`` or ``L3``.
    balance : str
        Starting balance, for example ``"1000000 USDT"``.

    """
    fees = honest_fees(spec, tier, price)
    return {"name": spec.venue, "balances": [balance], "book": book, "fees": fees, **honest_defaults()["venue"]}
