"""What an instrument is, as plain data that needs no engine."""

from dataclasses import asdict, dataclass
from decimal import Decimal
from typing import Any, Literal, Self

from ufos_nautilus.errors import DataError

InstrumentKind = Literal["equity", "currency_pair", "crypto_perpetual", "future", "option"]


@dataclass(frozen=True, slots=True, kw_only=True)
class InstrumentSpec:
    """A tradable instrument: its grid, its currencies and what one unit is worth.

    Parameters
    ----------
    instrument_id : str
        Symbol and venue, for example ``"BTCUSDT-PERP.BINANCE"``.
    kind : InstrumentKind
        Which engine type it becomes.
    base, quote, settlement : str
        Currency codes; an equity has its own symbol as base.
    tick_size, lot_size : Decimal
        Smallest step of price (quote currency) and of quantity (units or contracts).
    price_precision, size_precision : int
        Decimals of prices and of quantities.
    multiplier : Decimal
        Quote currency per price point and contract (contract value in quote currency for inverse contracts).
    inverse : bool
        Profit is paid in the base currency.
    expiration_ns, activation_ns : int
        For futures and options, UNIX nanoseconds; 0 where it never expires.
    underlying : str
        For futures and options.
    option_right : str
        ``"CALL"``, ``"PUT"`` or empty.
    strike : Decimal or None
        For options, in quote currency.
    sector : str
        GICS sector where known.

    """

    instrument_id: str
    kind: InstrumentKind
    base: str
    quote: str
    settlement: str
    tick_size: Decimal
    lot_size: Decimal
    price_precision: int
    size_precision: int
    multiplier: Decimal = Decimal(1)
    inverse: bool = False
    activation_ns: int = 0
    expiration_ns: int = 0
    underlying: str = ""
    option_right: str = ""
    strike: Decimal | None = None
    sector: str = ""

    def __post_init__(self) -> None:
        if "." not in self.instrument_id:
            raise DataError(
                f"instrument id {self.instrument_id!r} names no venue",
                expected="SYMBOL.VENUE, for example BTCUSDT-PERP.BINANCE",
            )
        for name in ("tick_size", "lot_size", "multiplier"):
            value: Decimal = getattr(self, name)
            if not value.is_finite() or value <= 0:
                raise DataError(f"{self.instrument_id}: {name} is {value}", expected="a positive decimal")
        if self.tick_size.quantize(Decimal(1).scaleb(-self.price_precision)) != self.tick_size:
            raise DataError(
                f"{self.instrument_id}: tick {self.tick_size} does not fit {self.price_precision} decimals",
                expected="price_precision at least the decimals of tick_size",
            )

    @property
    def symbol(self) -> str:
        """Return the part of the id before the venue."""
        return self.instrument_id.rpartition(".")[0]

    @property
    def venue(self) -> str:
        """Return the part of the id after the last dot."""
        return self.instrument_id.rpartition(".")[2]

    def on_grid(self, price: Decimal) -> bool:
        """Tell whether `price` is a whole number of ticks."""
        return price % self.tick_size == 0

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON-ready data; decimals as strings."""
        return {k: str(v) if isinstance(v, Decimal) else v for k, v in asdict(self).items()}

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Self:
        """Rebuild from `to_dict`."""
        decimals = ("tick_size", "lot_size", "multiplier", "strike")
        values: dict[str, Any] = {k: Decimal(v) if k in decimals and v is not None else v for k, v in data.items()}
        return cls(**values)
