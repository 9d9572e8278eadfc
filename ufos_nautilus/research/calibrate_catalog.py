"""Calibrations of stored data: reads a stretch of a catalog or a run and returns parameters with their provenance."""

import math
from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import ROUND_HALF_EVEN, Decimal
from typing import Any

import polars as pl

from ufos_nautilus.errors import DataError, SpecError
from ufos_nautilus.market.catalog import Catalog
from ufos_nautilus.market.instruments import InstrumentSpec
from ufos_nautilus.market.recording import TableKind
from ufos_nautilus.pricing.microprice import MicroPrice
from ufos_nautilus.research.calibrate import estimate_market, gamma_for_skew
from ufos_nautilus.research.calibrate_run import estimate_run
from ufos_nautilus.research.fit_flow import fit_flow, kyle_lambda
from ufos_nautilus.research.fit_microprice import fit_microprice
from ufos_nautilus.research.parameter_file import Calibration

BOUND_ORDERS = 10
"""Inventory bound, in orders."""
SKEW_SHARE = 1.0
"""How far a full inventory moves the quotes, as a share of their depth."""


def read_stretch(
    catalog: Catalog, kind: TableKind, instrument_id: str, start: datetime | None, end: datetime | None
) -> pl.DataFrame:
    """Return the rows of one table whose `ts_init` lies in [start, end].

    Raises
    ------
    DataError
        Where the catalog has no such table.

    """
    frame = catalog.scan(kind, instrument_id)
    if start is not None:
        frame = frame.filter(pl.col("ts_init") >= start)
    if end is not None:
        frame = frame.filter(pl.col("ts_init") <= end)
    return frame.collect()


def order_size(spec: InstrumentSpec, quantity: float) -> Decimal:
    """Return a quantity on the instrument's grid, one lot at least."""
    lots = (Decimal(repr(quantity)) / spec.lot_size).to_integral_value(ROUND_HALF_EVEN)
    return max(lots, Decimal(1)) * spec.lot_size


def calibrate_market(
    catalog: Catalog,
    instrument_id: str,
    start: datetime | None = None,
    end: datetime | None = None,
    *,
    bound_orders: int = BOUND_ORDERS,
    skew: float = SKEW_SHARE,
    size: Decimal | None = None,
) -> Calibration:
    """Calibrate a desk on recorded quotes and trades.

    Parameters
    ----------
    catalog : Catalog
        With tables `quotes` and `trades` of the instrument.
    instrument_id : str
        What to quote.
    start, end : datetime, optional
        Stretch of time, both inclusive.
    bound_orders : int
        Inventory bound in orders.
    skew : float
        Risk aversion, see `gamma_for_skew`.
    size : Decimal, optional
        Size of an order; the median market order unless given.

    Returns
    -------
    Calibration

    Raises
    ------
    DataError
        Where there are too few quotes or trades.

    """
    if bound_orders < 1 or not 0.0 < skew < math.inf:
        raise SpecError(f"bound of {bound_orders} orders, skew {skew}", expected="1 or more; above zero")
    spec = catalog.instrument(instrument_id)
    quotes = read_stretch(catalog, "quotes", instrument_id, start, end)
    trades = read_stretch(catalog, "trades", instrument_id, start, end)
    tick = float(spec.tick_size)
    found = estimate_market(quotes, trades, tick)
    facts: dict[str, float] = {}
    for name, fit in (
        ("kyle_lambda_ticks_per_unit", lambda: kyle_lambda(quotes, trades, tick)),
        ("flow_ticks_per_unit", lambda: fit_flow(quotes, tick)),
    ):
        try:
            coefficient = fit()
        except DataError:  # a short stretch still gives the parameters
            continue
        facts |= {name: coefficient.value, f"{name}_error": coefficient.error}
    each = size or order_size(spec, found.order_quantity)
    gamma = gamma_for_skew(found.k.value, found.A.value, found.sigma.value, bound_orders, skew)
    return Calibration(
        instrument_id=instrument_id,
        source="market",
        data=(catalog.digest([instrument_id]),),
        start=_iso(quotes["ts_init"].min()),
        end=_iso(quotes["ts_init"].max()),
        parameters={
            "a_per_s": found.A.value,
            "k_per_tick": found.k.value,
            "sigma_ticks": found.sigma.value,
            "gamma": gamma,
            "xi_ticks": max(found.impact.value, 0.0),
            "order_size": f"{each:f}",
            "max_inventory": f"{each * bound_orders:f}",
        },
        errors={
            "a_per_s": found.A.error,
            "k_per_tick": found.k.error,
            "sigma_ticks": found.sigma.error,
            "xi_ticks": found.impact.error,
        },
        facts={
            "market_orders": found.orders,
            "seconds": found.seconds,
            "spread_ticks": found.spread_ticks,
            "touch_ticks": found.touch_ticks,
            "order_quantity": found.order_quantity,
            "touch_quantity": found.touch_quantity,
            "skew": skew,
            **facts,
        },
    )


def calibrate_run(
    tables: Mapping[str, pl.DataFrame], spec: InstrumentSpec, book: str, run_id: str, end_ns: int
) -> Calibration:
    """Calibrate A and k on the quotes and fills of a run.

    Parameters
    ----------
    tables : mapping
        Tables `quotes` and `fills` of the run.
    spec : InstrumentSpec
        What the book quoted.
    book : str
        Its name.
    run_id : str
        Kept as provenance.
    end_ns : int
        End of the run, UNIX nanoseconds.

    """
    own = (pl.col("book") == book) & (pl.col("instrument_id") == spec.instrument_id)
    quotes, fills = tables["quotes"].filter(own), tables["fills"].filter(own)
    if quotes.is_empty():
        raise DataError(
            f"the run holds no quotes of {book} in {spec.instrument_id}",
            expected="a book that quoted, in a run that kept its quotes (recording.quotes)",
        )
    found = estimate_run(quotes, fills, spec.tick_size, end_ns)
    return Calibration(
        instrument_id=spec.instrument_id,
        source="run",
        data=(run_id,),
        start=_iso(quotes["ts"].min()),
        end=_iso(datetime.fromtimestamp(end_ns / 1e9, UTC)),
        parameters={"a_per_s": found.A, "k_per_tick": found.k},
        errors={"a_per_s": found.A_error, "k_per_tick": found.k_error},
        facts={"fills": found.fills, "exposure_s": found.exposure_s},
    )


def calibrate_microprice(
    catalog: Catalog,
    instrument_id: str,
    start: datetime | None = None,
    end: datetime | None = None,
    *,
    imbalances: int = 10,
    spreads: int = 2,
) -> MicroPrice:
    """Fit a micro-price to recorded quotes; its provenance holds the data's digest and the stretch of time."""
    spec = catalog.instrument(instrument_id)
    quotes = read_stretch(catalog, "quotes", instrument_id, start, end)
    provenance: dict[str, Any] = {
        "instrument_id": instrument_id,
        "data": catalog.digest([instrument_id]),
        "start": _iso(quotes["ts_init"].min()),
        "end": _iso(quotes["ts_init"].max()),
    }
    return fit_microprice(quotes, float(spec.tick_size), imbalances=imbalances, spreads=spreads, provenance=provenance)


def _iso(at: Any) -> str:
    return at.astimezone(UTC).isoformat() if isinstance(at, datetime) else ""
