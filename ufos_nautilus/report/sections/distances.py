"""How far from the market's mid the fills happened."""

import polars as pl

from ufos_nautilus.report.charts import SERIES, axis, bars
from ufos_nautilus.report.parts import Chart, Part, number

BINS = 25
"""Bars of a histogram in basis points."""
TICK_BARS_MAX = 40
"""Distances that take no more values than this are drawn one by one, in ticks."""


def distances(known: pl.DataFrame) -> list[Part]:
    """Return a histogram of the fills by their distance to the mid.

    Parameters
    ----------
    known : polars.DataFrame
        Fills from `spread_captured` whose distance is known.

    """
    bps, ticks = known["bps"].drop_nulls(), known["ticks"].drop_nulls().round(2)
    values = ticks.n_unique()
    if values < 2 or bps.is_empty():
        return []
    gained, median = (bps > 0).sum() / len(bps), bps.median()
    summary = f"{gained:.1%} of the fills were better than the mid"
    summary += f"; median {number(median)} bps." if isinstance(median, float) else "."
    if known["instrument_id"].n_unique() == 1 and values <= TICK_BARS_MAX:
        unit, frame = "ticks", pl.DataFrame({"x": ticks}).group_by("x").len("fills").sort("x")
        width = 0.45  # a mid lies on half ticks
    else:
        unit = "bps"
        frame, width = _binned(bps)
        summary += " The outermost bars hold the tails."
    data = [bars(frame, "x", "fills", "fills", SERIES[0], width=round(width, 6))]
    layout = {"xaxis": axis(f"{unit} better than the mid"), "yaxis": axis("fills"), "showlegend": False}
    return [Chart("Fills by distance to mid", summary, data, layout, 240)]


def _binned(bps: pl.Series) -> tuple[pl.DataFrame, float]:
    """Return the middle of each bin with its count, and the width of a bar."""
    low, high = bps.quantile(0.01) or 0.0, bps.quantile(0.99) or 0.0
    width = (high - low) / BINS or 1.0
    bins = ((bps.clip(low, high) - low) / width).floor().clip(0, BINS - 1).cast(pl.Int64)
    counts = pl.DataFrame({"bin": bins}).group_by("bin").len("fills").sort("bin")
    middle = ((pl.col("bin") + 0.5) * width + low).round(4).alias("x")
    return counts.select(middle, "fills"), width * 0.92
