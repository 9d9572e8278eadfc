"""Which fair value forecasts the mid best on data it was not fitted on: an ablation, part after part of a recording."""

import itertools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl

from ufos_nautilus.errors import DataError
from ufos_nautilus.market.catalog import Catalog
from ufos_nautilus.pricing.fair_value import mid, weighted_mid
from ufos_nautilus.pricing.horizon import SessionEnd
from ufos_nautilus.pricing.order_flow import OrderFlowImbalance
from ufos_nautilus.research.calibrate_catalog import calibrate_microprice, read_stretch
from ufos_nautilus.research.fit_flow import fit_flow
from ufos_nautilus.research.fit_microprice import forecast_errors, touch
from ufos_strategies.parts import Span, parts_of


def ablation(
    path: Path,
    instrument_id: str,
    session: SessionEnd | None,
    *,
    ahead: int = 1_000,
    imbalances: int = 10,
    spreads: int = 2,
) -> dict[str, Any]:
    """Fit on each part of a recording and judge on the next.

    Parameters
    ----------
    path : Path
        Catalog with quotes.
    instrument_id : str
        The instrument.
    session : SessionEnd, optional
        Parts are sessions; halves of the time without.
    ahead : int
        Events ahead at which the mid is forecast.
    imbalances, spreads : int
        See `fit_microprice`.

    Returns
    -------
    dict
        ``rows``: per judged part and fair value ``judged, fair_value, rmse_ticks, r2, bias_low_ticks``; ``fits``: per
        fitted part the table of adjustments in ticks, how far it is from antisymmetric, and the flow coefficient.

    Raises
    ------
    DataError
        Where there are fewer than two parts with enough quotes.

    """
    catalog = Catalog.open(path)
    tick = float(catalog.instrument(instrument_id).tick_size)
    parts = parts_of(catalog, instrument_id, session, "quotes")
    if len(parts) < 2:
        raise DataError(f"the recording holds {len(parts)} parts", expected="one to fit and one to judge")
    rows, fits = [], []
    for fitted, judged in itertools.pairwise(parts):
        micro = calibrate_microprice(
            catalog, instrument_id, fitted.start, fitted.end, imbalances=imbalances, spreads=spreads
        )
        flow = fit_flow(read_stretch(catalog, "quotes", instrument_id, fitted.start, fitted.end), tick)
        first = micro.adjustments[0]
        fits.append(
            {
                "fitted": _name(fitted),
                "quotes": micro.provenance["quotes"],
                "data": micro.provenance["data"],
                "adjustments_ticks": [[x / tick for x in row] for row in micro.adjustments],
                "asymmetry_ticks": max(abs(a + b) for a, b in zip(first, reversed(first), strict=True)) / tick,
                "flow_ticks_per_unit": flow.value,
                "flow_error": flow.error,
            }
        )
        quotes = read_stretch(catalog, "quotes", instrument_id, judged.start, judged.end)
        found = forecast_errors(
            quotes,
            {
                "mid": mid,
                "weighted mid": weighted_mid,
                "micro-price": micro,
                "micro-price + order flow": _with_flow(micro, flow.value * tick, quotes),
            },
            ahead=ahead,
        )
        rows += [
            {
                "judged": _name(judged),
                "fair_value": name,
                "rmse_ticks": values["rmse"] / tick,
                "r2": values["r2"],
                "bias_low_ticks": values["bias_low"] / tick,
            }
            for name, values in found.items()
        ]
    return {"rows": rows, "fits": fits}


def _with_flow(micro: Callable[..., float], per_unit: float, quotes: pl.DataFrame) -> Callable[..., float]:
    """Return the micro-price moved by the order flow so far; it is asked for the judged rows once each, in order."""
    two_sided = quotes.filter(pl.col("bid_price") < pl.col("ask_price"), pl.col("bid_size") > 0, pl.col("ask_size") > 0)
    times = iter(two_sided["ts_init"].cast(pl.Int64).to_list())
    if len(two_sided) != len(touch(quotes)):
        raise DataError("the quotes to judge on do not line up with their times")
    imbalance = OrderFlowImbalance(1.0)

    def estimate(bid: float, bid_size: float, ask: float, ask_size: float) -> float:
        flow = imbalance.update(next(times), bid, bid_size, ask, ask_size)
        return micro(bid, bid_size, ask, ask_size) + per_unit * flow

    return estimate


def _name(span: Span) -> str:
    return f"{span.start:%Y-%m-%d %H:%M}"
