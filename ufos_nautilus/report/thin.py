"""Fewer points for drawing that keep every extreme."""

import polars as pl

from ufos_nautilus import limits


def thin(frame: pl.DataFrame, value: str, points: int = limits.CHART_POINTS_MAX) -> pl.DataFrame:
    """Keep at most `points` rows: the lowest, the highest and a gap of each stretch, and both ends.

    Parameters
    ----------
    frame : polars.DataFrame
        Rows in drawing order.
    value : str
        The drawn column; nulls are gaps of the line.
    points : int
        Rows to keep at most, 8 or more.

    Returns
    -------
    polars.DataFrame
        A subset of the rows in their order; the frame itself where it is short enough.
        Its smallest and largest value are those of the whole frame.

    Raises
    ------
    ValueError
        If `points` is below 8.

    """
    if points < 8:
        raise ValueError(f"cannot thin to {points} points, 8 at least")
    rows = frame.height
    if rows <= points:
        return frame
    per_stretch = 3 if frame[value].null_count() else 2
    stretches = (points - 2) // per_stretch
    indexed = frame.select(
        pl.col(value).alias("v"),
        pl.int_range(rows, dtype=pl.Int64).alias("i"),
        # Equal shares by row, not by time: dense moments keep their detail.
        (pl.int_range(rows, dtype=pl.Int64) * stretches // rows).alias("stretch"),
    )
    kept = indexed.group_by("stretch").agg(
        pl.col("i").sort_by("v", nulls_last=True, maintain_order=True).first().alias("low"),
        pl.col("i").sort_by("v", nulls_last=False, maintain_order=True).last().alias("high"),
        pl.col("i").filter(pl.col("v").is_null()).first().alias("gap"),
    )
    index = pl.concat([kept["low"], kept["high"], kept["gap"].drop_nulls(), pl.Series([0, rows - 1], dtype=pl.Int64)])
    return frame[index.unique().sort()]


def busiest_window(decisions: pl.Series, fills: pl.Series, rows: int) -> tuple[int, int] | None:
    """Find the stretch of `rows` quote decisions in which most fills happened.

    Parameters
    ----------
    decisions, fills : polars.Series of Int64
        Times in UNIX nanoseconds, ascending.
    rows : int
        Decisions in the stretch.

    Returns
    -------
    tuple of int or None
        First and last time of the stretch, the earliest of equals; None without decisions.

    """
    if decisions.is_empty():
        return None
    if fills.is_empty() or len(decisions) <= rows:
        return int(decisions[0]), int(decisions[min(rows, len(decisions)) - 1])
    # A tenth of the stretch lies before the fill it starts from, so that the quotes leading to it are seen.
    before = decisions.search_sorted(fills, side="right").cast(pl.Int64) - 1 - rows // 10
    first = before.clip(0, len(decisions) - rows)
    starts, ends = decisions.gather(first), decisions.gather(first + rows - 1)
    count = fills.search_sorted(ends, side="right").cast(pl.Int64) - fills.search_sorted(starts).cast(pl.Int64)
    best = int(count.arg_max() or 0)
    return int(starts[best]), int(ends[best])
