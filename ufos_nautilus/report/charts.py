"""Traces and layouts of plotly.js as plain dictionaries."""

from decimal import Decimal
from html import escape
from typing import Any

import polars as pl

from ufos_nautilus import limits
from ufos_nautilus.report.thin import thin

SERIES = tuple(f"--c{i}" for i in range(1, limits.CHART_LINES_MAX + 1))
"""Colours of lines, told apart by the colour-blind; see report.css."""


def line(
    frame: pl.DataFrame,
    value: str,
    name: str,
    color: str,
    *,
    steps: bool = True,
    width: float = 1.5,
    dash: str = "solid",
    **more: Any,
) -> dict[str, Any]:
    """Return a line trace of column `value` over column ``ts``, thinned to `limits.CHART_POINTS_MAX`.

    `name` may be anything a user wrote: what plotly.js would take for markup is escaped.
    """
    thinned = thin(frame.select("ts", value), value)
    return {
        "type": "scatter",
        "mode": "lines",
        "name": escape(name),
        **_times(thinned["ts"]),
        "y": floats(thinned[value]),
        "line": {"color": color, "width": width, "dash": dash, "shape": "hv" if steps else "linear"},
        **more,
    }


def markers(
    frame: pl.DataFrame, value: str, name: str, color: str, symbol: str, size: int = 9, **more: Any
) -> dict[str, Any]:
    """Return a marker trace of column `value` over column ``ts``; an ``-open`` symbol is drawn as an outline."""
    thinned = thin(frame, value)
    outlined = symbol.endswith("-open")
    return {
        "type": "scatter",
        "mode": "markers",
        "name": escape(name),
        **_times(thinned["ts"]),
        "y": floats(thinned[value]),
        "marker": {
            "color": color,
            "symbol": symbol,
            "size": size,
            "line": {"width": 1.5 if outlined else 0.75, "color": color if outlined else "--card"},
        },
        **more,
    }


def fill_markers(fills: pl.DataFrame, value: str = "price", **more: Any) -> list[dict[str, Any]]:
    """Return up to four traces: buys point up, sells down; maker fills are solid, taker fills outlined."""
    traces = []
    size = next((size for most, size in ((100, 10), (400, 8)) if fills.height <= most), 6)
    for side, color, shape in (("BUY", "--buy", "triangle-up"), ("SELL", "--sell", "triangle-down")):
        for liquidity, suffix in (("MAKER", ""), ("TAKER", "-open")):
            own = fills.filter((pl.col("side") == side) & (pl.col("liquidity") == liquidity))
            if own.height:
                name = f"{side.lower()}, {liquidity.lower()}"
                traces.append(markers(own, value, name, color, shape + suffix, size, **more))
    return traces


def bars(frame: pl.DataFrame, x: str, y: str, name: str, color: str, **more: Any) -> dict[str, Any]:
    """Return a bar trace; a time column `x` is drawn on a time axis."""
    xs = _times(frame[x]) if isinstance(frame[x].dtype, pl.Datetime) else {"x": frame[x].to_list()}
    return {
        "type": "bar", "name": escape(name), **xs, "y": floats(frame[y]), "marker": {"color": color}, **more,
    }  # fmt: skip


def time_axis(span_ns: tuple[int, int] | None = None, **more: Any) -> dict[str, Any]:
    """Return a time axis in UTC over `span_ns` (UNIX nanoseconds), so that charts of one run stand in line."""
    if span_ns and span_ns[1] > span_ns[0]:
        edge = (span_ns[1] - span_ns[0]) // 100
        more["range"] = [(span_ns[0] - edge) / 1e6, (span_ns[1] + edge) / 1e6]
    return {"type": "date", **more}


def axis(title: str, **more: Any) -> dict[str, Any]:
    """Return a number axis; `title` may be anything a user wrote."""
    return {"title": {"text": escape(title)}, **more}


def stacked(
    span_ns: tuple[int, int] | None, upper: dict[str, Any], lower: dict[str, Any], share: float = 0.62
) -> dict[str, Any]:
    """Return a layout of two plots over one time axis; the upper takes `share` of the height."""
    return {
        "xaxis": time_axis(span_ns, anchor="y2"),
        "yaxis": {**upper, "domain": [1 - share + 0.04, 1]},
        "yaxis2": {**lower, "domain": [0, 1 - share - 0.04]},
    }


def floats(values: pl.Series) -> list[float | None]:
    """Return numbers for drawing only; nulls and what is no number become gaps."""
    numbers = values.cast(pl.Float64)
    return [None if v is None or v != v or v in (float("inf"), float("-inf")) else v for v in numbers.to_list()]


def _times(times: pl.Series) -> dict[str, Any]:
    """Return milliseconds relative to the first time, which halves the size of the page."""
    ns = times.cast(pl.Int64)
    if ns.is_empty():
        return {"t0": 0, "x": []}
    start = int(ns[0]) // 1_000_000
    micros = (ns - start * 1_000_000) // 1_000
    return {"t0": start, "x": [_plain(Decimal(m).scaleb(-3)) for m in micros.to_list()]}


def _plain(value: Decimal) -> int | float:
    return int(value) if value == value.to_integral_value() else float(value)
