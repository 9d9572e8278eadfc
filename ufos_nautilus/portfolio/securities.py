"""What a planner knows of a security: its grid, where it belongs, and what it costs to trade."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal

from ufos_nautilus.errors import DataError


@dataclass(frozen=True, slots=True, kw_only=True)
class Security:
    """A security as restrictions and plans see it.

    Parameters
    ----------
    symbol : str
        Root symbol, without a venue.
    instrument_id : str
        Symbol and venue where it is quoted; the symbol itself where no venue is known.
    sector, sub_industry : str
        GICS names; empty where unknown.
    tags : frozenset of str
        Labels of the owner's own, such as ESG exclusions, in lower case.
    lot : Decimal
        Smallest quantity traded.

    """

    symbol: str
    instrument_id: str = ""
    sector: str = ""
    sub_industry: str = ""
    tags: frozenset[str] = frozenset()
    lot: Decimal = Decimal(1)

    def __post_init__(self) -> None:
        if not self.symbol or not self.symbol.isprintable() or len(self.symbol) > 64:
            raise DataError(f"a security is called {self.symbol[:40]!r}", expected="a root symbol such as AAPL")
        if not self.lot.is_finite() or self.lot <= 0:
            raise DataError(f"{self.symbol}: the lot is {self.lot}", expected="a positive decimal")
        if not self.instrument_id:
            object.__setattr__(self, "instrument_id", self.symbol)


@dataclass(frozen=True, slots=True, kw_only=True)
class Price:
    """A price with its time and what is known of trading at it.

    Parameters
    ----------
    price : Decimal
        Midpoint or last price, quote currency.
    ts_ns : int
        When it was seen, UNIX nanoseconds.
    half_spread : Decimal or None
        Half the quoted spread, price units; None where only a general figure is known.
    daily_volume : Decimal or None
        Mean quantity that trades in a day; None leaves market impact out.
    daily_volatility : Decimal or None
        Standard deviation of daily returns, a fraction; None leaves market impact out.

    """

    price: Decimal
    ts_ns: int
    half_spread: Decimal | None = None
    daily_volume: Decimal | None = None
    daily_volatility: Decimal | None = None

    def __post_init__(self) -> None:
        if not self.price.is_finite() or self.price <= 0:
            raise DataError(f"a price is {self.price}", expected="a positive decimal")
        for name in ("half_spread", "daily_volume", "daily_volatility"):
            value: Decimal | None = getattr(self, name)
            if value is not None and not (value.is_finite() and value >= 0):
                raise DataError(f"{name} is {value}", expected="a decimal of zero or more")


@dataclass(frozen=True, slots=True)
class TaxLot:
    """Units bought together and still held.

    Parameters
    ----------
    symbol : str
        Of what.
    ref : str
        Names the purchase.
    opened_ns : int
        When, UNIX nanoseconds.
    quantity : Decimal
        Units left, above zero.
    cost : Decimal
        What those units cost, base currency.

    """

    symbol: str
    ref: str
    opened_ns: int
    quantity: Decimal
    cost: Decimal

    def __post_init__(self) -> None:
        if not self.quantity.is_finite() or self.quantity <= 0:
            raise DataError(f"lot {self.ref} of {self.symbol} has {self.quantity} units", expected="more than zero")
        if not self.cost.is_finite() or self.cost < 0:
            raise DataError(f"lot {self.ref} of {self.symbol} cost {self.cost}", expected="zero or more")


@dataclass(frozen=True, slots=True)
class Market:
    """All securities and prices a plan may use.

    Parameters
    ----------
    securities : mapping
        Symbol -> `Security`.
    prices : mapping
        Symbol -> `Price`.

    """

    securities: Mapping[str, Security] = field(default_factory=dict)
    prices: Mapping[str, Price] = field(default_factory=dict)
