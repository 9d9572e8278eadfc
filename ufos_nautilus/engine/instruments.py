"""Translates instrument specs into engine instruments and writes them where the engine's catalog finds them."""

from collections.abc import Iterable
from decimal import Decimal
from pathlib import Path
from typing import Any

from nautilus_trader.model import (
    AssetClass,
    CryptoPerpetual,
    Currency,
    CurrencyPair,
    CurrencyType,
    Equity,
    FuturesContract,
    InstrumentId,
    OptionContract,
    OptionKind,
    Price,
    Quantity,
    Symbol,
)
from nautilus_trader.persistence import ParquetDataCatalog

from ufos_nautilus.market.instruments import InstrumentSpec

UNKNOWN_CURRENCY_DECIMALS = 8
"""Decimals given to a currency the engine does not know (it is then registered as crypto)."""


def currency(code: str) -> Currency:
    """Return a currency by code; unknown codes become crypto currencies with 8 decimals."""
    try:
        return Currency.from_str(code, strict=True)
    except ValueError:
        made = Currency(code, UNKNOWN_CURRENCY_DECIMALS, 0, code, CurrencyType.CRYPTO)
        Currency.register(made)
        return made


def is_currency(code: str) -> bool:
    """Tell whether the engine knows a currency by itself."""
    try:
        Currency.from_str(code, strict=True)
    except ValueError:
        return False
    return True


def price(value: Decimal, precision: int) -> Price:
    """Return an engine price with exactly `precision` decimals."""
    return Price.from_str(f"{value:.{precision}f}")


def quantity(value: Decimal, precision: int) -> Quantity:
    """Return an engine quantity with exactly `precision` decimals."""
    return Quantity.from_str(f"{value:.{precision}f}")


def to_engine(spec: InstrumentSpec) -> Any:
    """Return the engine's instrument for a spec."""
    identity = {
        "instrument_id": InstrumentId.from_str(spec.instrument_id),
        "raw_symbol": Symbol(spec.symbol),
        "price_precision": spec.price_precision,
        "price_increment": price(spec.tick_size, spec.price_precision),
        "ts_event": 0,
        "ts_init": 0,
    }
    sized = {
        "size_precision": spec.size_precision,
        "size_increment": quantity(spec.lot_size, spec.size_precision),
        "multiplier": quantity(spec.multiplier, max(0, -int(spec.multiplier.normalize().as_tuple().exponent))),
    }
    match spec.kind:
        case "equity":
            lot = quantity(spec.lot_size, spec.size_precision)
            return Equity(**identity, currency=currency(spec.quote), lot_size=lot)
        case "currency_pair":
            base, quote = currency(spec.base), currency(spec.quote)
            return CurrencyPair(**identity, **sized, base_currency=base, quote_currency=quote)
        case "crypto_perpetual":
            return CryptoPerpetual(
                **identity,
                **sized,
                base_currency=currency(spec.base),
                quote_currency=currency(spec.quote),
                settlement_currency=currency(spec.settlement),
                is_inverse=spec.inverse,
            )
        case "future" | "option":
            return _derivative(spec, identity, sized["multiplier"])


def _derivative(spec: InstrumentSpec, identity: dict[str, Any], multiplier: Quantity) -> Any:
    common = {
        **identity,
        "asset_class": AssetClass.INDEX,
        "underlying": spec.underlying or spec.base,
        "activation_ns": spec.activation_ns,
        "expiration_ns": spec.expiration_ns,
        "currency": currency(spec.quote),
        "multiplier": multiplier,
        "lot_size": quantity(spec.lot_size, spec.size_precision),
    }
    if spec.kind == "future":
        return FuturesContract(**common)
    kind = OptionKind.CALL if spec.option_right == "CALL" else OptionKind.PUT
    return OptionContract(
        **common, option_kind=kind, strike_price=price(spec.strike or Decimal(0), spec.price_precision)
    )


def write_instruments(catalog_path: Path, specs: Iterable[InstrumentSpec]) -> None:
    """Write engine instruments into a catalog directory, so that the engine's own tools see them."""
    catalog = ParquetDataCatalog(str(catalog_path.resolve()))
    known = {str(i.id) for i in catalog.instruments()}
    fresh = [to_engine(s) for s in specs if s.instrument_id not in known]
    if fresh:
        catalog.write_instruments(fresh)
