"""Who owns a portfolio and what a strategy is: the two registers kept beside the journal."""

from dataclasses import dataclass
from decimal import Decimal

from ufos_nautilus.errors import DataError
from ufos_nautilus.ledger.accounts import check_name


@dataclass(frozen=True, slots=True, kw_only=True)
class RiskProfile:
    """What an owner bears.

    Parameters
    ----------
    gamma : Decimal
        Risk aversion, above zero.
    max_drawdown : Decimal
        Largest loss from a peak as a fraction, above 0 and at most 1.

    """

    gamma: Decimal
    max_drawdown: Decimal

    def __post_init__(self) -> None:
        if not self.gamma.is_finite() or self.gamma <= 0:
            raise DataError(f"gamma is {self.gamma}", expected="a positive decimal")
        if not self.max_drawdown.is_finite() or not 0 < self.max_drawdown <= 1:
            raise DataError(f"max_drawdown is {self.max_drawdown}", expected="a fraction above 0 and at most 1")


@dataclass(frozen=True, slots=True, kw_only=True)
class Portfolio:
    """A client's portfolio: the book of the same id, its owner, and its last net asset value.

    Parameters
    ----------
    id : str
        Name of the book.
    owner_name : str
        Who owns it.
    risk_profile : RiskProfile
        What the owner bears.
    nav : Decimal
        Net asset value when it was last written, in `currency`; the journal is what counts.
    currency : str
        Base currency.

    """

    id: str
    owner_name: str
    risk_profile: RiskProfile
    nav: Decimal
    currency: str

    def __post_init__(self) -> None:
        check_name(self.id, "portfolio id")
        check_name(self.owner_name, "owner name")
        check_name(self.currency, "currency")
        if not self.nav.is_finite():
            raise DataError(f"nav of {self.id} is {self.nav}", expected="a finite decimal")


@dataclass(frozen=True, slots=True, kw_only=True)
class StrategyRecord:
    """A strategy the house runs.

    Parameters
    ----------
    id : str
        Name of the book.
    name : str
        What people call it.
    logic_path : str
        Class that runs it, ``"package.module:Class"``.
    allocation_pct : Decimal
        Share of the house's capital, 0 to 100.

    """

    id: str
    name: str
    logic_path: str
    allocation_pct: Decimal

    def __post_init__(self) -> None:
        check_name(self.id, "strategy id")
        check_name(self.name, "strategy name")
        if not self.logic_path or len(self.logic_path) > 256 or not self.logic_path.isprintable():
            raise DataError(f"logic_path of {self.id} is {self.logic_path[:40]!r}", expected="package.module:Class")
        if not self.allocation_pct.is_finite() or not 0 <= self.allocation_pct <= 100:
            raise DataError(f"allocation of {self.id} is {self.allocation_pct}", expected="0 to 100 percent")
