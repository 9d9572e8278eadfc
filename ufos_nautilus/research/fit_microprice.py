"""Fits Stoikov's micro-price to recorded quotes and judges fair values by what the mid does next.

States are (imbalance bucket, spread). With Q the chance of a move between states without a change of the mid, T with
one, and r the mean change of the mid: G1 = (1 - Q)^-1 r is the expected first change, B = (1 - Q)^-1 T carries it to
the state after that change, and G* = G1 + B G1 + B^2 G1 + ... the adjustment to the mid. Each observation is counted
once as it is and once mirrored (bids for asks), without which the sum does not converge; G* is antisymmetric for it.
"""

from collections.abc import Mapping
from typing import Any, Final

import polars as pl

from ufos_nautilus.errors import DataError, SpecError
from ufos_nautilus.limits import MICROPRICE_STATES_MAX
from ufos_nautilus.pricing.microprice import MicroPrice
from ufos_nautilus.research.extra import need

MID_CHANGES: Final = 6
"""Changes of the mid that are summed; the rest is below a hundredth of a tick."""
QUOTES_MIN: Final = 1_000
"""Fewest two-sided quotes a fit is made from."""
STATE_SEEN_MIN: Final = 50
"""Observations (mirrored ones included) from which a state speaks for itself."""
COLUMNS: Final = ("bid_price", "bid_size", "ask_price", "ask_size")


def touch(quotes: pl.DataFrame) -> pl.DataFrame:
    """Return the two-sided, uncrossed and unlocked rows of a quotes table as floats, with the mid.

    Parameters
    ----------
    quotes : DataFrame
        Columns ``bid_price, bid_size, ask_price, ask_size`` in time order, any numeric type.

    Returns
    -------
    DataFrame
        The same columns as Float64, and ``mid``.

    Raises
    ------
    DataError
        When a column is missing or fewer than `QUOTES_MIN` rows remain.

    """
    missing = [name for name in COLUMNS if name not in quotes.columns]
    if missing:
        raise DataError(f"quotes lack the columns {', '.join(missing)}", expected=", ".join(COLUMNS))
    rows = quotes.select(pl.col(name).cast(pl.Float64) for name in COLUMNS).filter(
        pl.col("bid_price") < pl.col("ask_price"), pl.col("bid_size") > 0, pl.col("ask_size") > 0
    )
    if rows.height < QUOTES_MIN:
        raise DataError(f"only {rows.height:,} two-sided quotes", expected=f"at least {QUOTES_MIN:,}")
    return rows.with_columns(mid=0.5 * (pl.col("bid_price") + pl.col("ask_price")))


def fit_microprice(
    quotes: pl.DataFrame,
    tick_size: float,
    *,
    imbalances: int = 10,
    spreads: int = 2,
    provenance: Mapping[str, Any] | None = None,
) -> MicroPrice:
    """Fit the micro-price.

    Parameters
    ----------
    quotes : DataFrame
        See `touch`; one row per change of the touch.
    tick_size : float
        Price units.
    imbalances, spreads : int
        Buckets of imbalance; spreads told apart (1 tick, 2 ticks, ..., the last stands for all wider ones).
    provenance : mapping or None
        Kept in the artifact, for example the digest of the data.

    Returns
    -------
    MicroPrice

    Raises
    ------
    DataError
        When there are too few quotes, or the fit does not converge.
    SpecError
        When the buckets or the tick are out of range.

    """
    if imbalances < 2 or spreads < 1 or imbalances * spreads > MICROPRICE_STATES_MAX or not tick_size > 0.0:
        raise SpecError(
            f"micro-price: {imbalances} imbalances x {spreads} spreads, tick {tick_size}",
            expected=f"at least 2 x 1, at most {MICROPRICE_STATES_MAX:,} states, a tick above zero",
        )
    np = need("numpy")
    rows = touch(quotes)
    share = (rows["bid_size"] / (rows["bid_size"] + rows["ask_size"])).to_numpy()
    bucket = np.minimum((share * imbalances).astype(np.int64), imbalances - 1)
    ticks = np.rint((rows["ask_price"] - rows["bid_price"]).to_numpy() / tick_size).astype(np.int64)
    row = np.clip(ticks, 1, spreads) - 1
    change = np.rint(np.diff(rows["mid"].to_numpy()) / (0.5 * tick_size)) * (0.5 * tick_size)
    if not change.any():
        raise DataError("micro-price: the mid never moves in these quotes", expected="quotes with price moves")
    states = imbalances * spreads
    here = row * imbalances + bucket
    mirrored = row * imbalances + (imbalances - 1 - bucket)
    still, moved, drift = np.zeros((states, states)), np.zeros((states, states)), np.zeros(states)
    for state, sign in ((here, 1.0), (mirrored, -1.0)):
        before, after = state[:-1], state[1:]
        quiet = change == 0.0
        np.add.at(still, (before[quiet], after[quiet]), 1.0)
        np.add.at(moved, (before[~quiet], after[~quiet]), 1.0)
        np.add.at(drift, before, sign * change)
    seen = np.maximum((still + moved).sum(axis=1), 1.0)
    leave = np.eye(states) - still / seen[:, None]
    try:
        first = np.linalg.solve(leave, drift / seen)
        carry = np.linalg.solve(leave, moved / seen[:, None])
    except np.linalg.LinAlgError as error:
        raise DataError(
            "micro-price: the mid never moves in these quotes", expected="quotes with price moves"
        ) from error
    adjustment, term = first.copy(), first
    for _ in range(MID_CHANGES - 1):
        term = carry @ term
        adjustment += term
    if not np.isfinite(adjustment).all() or np.abs(term).max() > np.abs(first).max() + tick_size:
        raise DataError("micro-price: the fit does not converge", expected="more quotes, or fewer buckets")
    table = adjustment.reshape(spreads, imbalances)
    table = 0.5 * (table - table[:, ::-1])  # what rounding left of the symmetry
    counts = seen.reshape(spreads, imbalances)
    for i in range(1, spreads):  # a state hardly ever seen says what the next narrower spread says
        table[i] = np.where(counts[i] < STATE_SEEN_MIN, table[i - 1], table[i])
    facts = {"quotes": rows.height, "mid_changes": int((change != 0.0).sum()), **(provenance or {})}
    return MicroPrice(tick_size, tuple(tuple(float(x) for x in r) for r in table), facts)


def forecast_errors(
    quotes: pl.DataFrame, estimates: Mapping[str, Any], ahead: int = 1_000
) -> dict[str, dict[str, float]]:
    """Judge fair values by the mid `ahead` events later.

    Parameters
    ----------
    quotes : DataFrame
        See `touch`.
    estimates : mapping
        Name -> fair value, called with bid, bid size, ask, ask size as floats, row by row.
    ahead : int
        Events; about as many as the mid takes to change, or the mid itself is hard to beat.

    Returns
    -------
    dict
        Name -> ``rmse`` (price units), ``r2`` (share of the variance of the mid's change that is forecast) and
        ``bias_low`` (mean error where less than a tenth of the size is bid).

    """
    np = need("numpy")
    rows = touch(quotes)
    if not 1 <= ahead < rows.height:
        raise SpecError(f"forecast: {ahead} events ahead of {rows.height:,} quotes")
    mid = rows["mid"].to_numpy()
    later = mid[ahead:]
    moved = later - mid[:-ahead]
    share = (rows["bid_size"] / (rows["bid_size"] + rows["ask_size"])).to_numpy()[:-ahead]
    sides = [rows[name].to_list()[: len(later)] for name in COLUMNS]
    found = {}
    for name, estimate in estimates.items():
        values = np.fromiter((estimate(*row) for row in zip(*sides, strict=True)), np.float64, len(later))
        error = later - values
        low = error[share < 0.1]
        found[name] = {
            "rmse": float(np.sqrt(np.mean(error**2))),
            "r2": float(1.0 - np.mean(error**2) / max(np.mean(moved**2), 1e-300)),
            "bias_low": float(low.mean()) if low.size else 0.0,
        }
    return found
