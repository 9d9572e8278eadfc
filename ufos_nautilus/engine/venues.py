"""Turns venue specs into the engine's simulated venues: accounts, fees, latency, fills."""

from collections.abc import Iterable, Sequence
from decimal import Decimal
from typing import Any

from nautilus_trader.backtest import BacktestEngine
from nautilus_trader.execution import (
    DefaultFillModel,
    FixedFeeModel,
    MakerTakerFeeModel,
    PerContractFeeModel,
    StaticLatencyModel,
)
from nautilus_trader.model import AccountType, BookType, Money, OmsType, Venue

from ufos_nautilus.engine.instruments import currency
from ufos_nautilus.engine.spec import FeeSpec, LatencySpec, VenueSpec

NS_PER_MS = 1_000_000
BOOK_TYPES = {"L1": BookType.L1_MBP, "L2": BookType.L2_MBP, "L3": BookType.L3_MBO}


def money(text: str) -> Money:
    """Return an amount with its currency from text like ``"1000000 USDT"``."""
    amount, _, code = text.partition(" ")
    return Money.from_decimal(Decimal(amount), currency(code))


def fee_model(spec: FeeSpec) -> Any:
    """Return the engine's fee model."""
    match spec.model:
        case "maker_taker":
            return MakerTakerFeeModel(spec.maker_rate, spec.taker_rate)
        case "fixed":
            return FixedFeeModel(money(spec.amount or ""))
        case "per_contract":
            return PerContractFeeModel(money(spec.amount or ""))


def latency_model(spec: LatencySpec) -> StaticLatencyModel | None:
    """Return the engine's latency model, or None where nothing is delayed."""
    nanos = [int(ms * NS_PER_MS) for ms in (spec.base_ms, spec.insert_ms, spec.update_ms, spec.cancel_ms)]
    return StaticLatencyModel(*nanos) if any(nanos) else None


def add_venue(
    engine: BacktestEngine, spec: VenueSpec, seed: int, fill_model: Any = None, modules: Sequence[Any] = ()
) -> None:
    """Add one simulated venue to an engine.

    Parameters
    ----------
    engine : BacktestEngine
        Not yet running.
    spec : VenueSpec
        What the venue is like.
    seed : int
        Seed of the venue's fill model.
    fill_model : object, optional
        Replaces the model of the spec, for venues whose fills are agreed elsewhere.
    modules : sequence
        Simulation modules, such as fundings.

    """
    fills = fill_model or DefaultFillModel(spec.fill.prob_fill_on_limit, spec.fill.prob_slippage, seed)
    cash = spec.account == "cash"
    engine.add_venue(
        Venue(spec.name),
        OmsType.NETTING,
        AccountType.CASH if cash else AccountType.MARGIN,
        [money(text) for text in spec.balances],
        base_currency=currency(spec.base_currency) if spec.base_currency else None,
        default_leverage=None if cash else spec.leverage,
        fill_model=fills,
        fee_model=fee_model(spec.fees),
        latency_model=latency_model(spec.latency),
        modules=list(modules) or None,
        book_type=BOOK_TYPES[spec.book],
        bar_execution=spec.bar_execution,
        trade_execution=spec.trade_execution,
        liquidity_consumption=spec.liquidity_consumption,
        queue_position=spec.queue_position,
        allow_cash_borrowing=spec.allow_borrowing,
    )


def venue_seeds(specs: Iterable[VenueSpec], seed: int) -> dict[str, int]:
    """Return one seed per venue, so that adding a venue does not change the fills of another."""
    return {spec.name: seed * 1_000_003 + sum(spec.name.encode()) for spec in specs}
