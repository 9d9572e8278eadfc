"""Stoikov's micro-price (2018): the mid plus what imbalance and spread say about where it goes, from a fitted table."""

import math
from dataclasses import dataclass
from typing import Any, Self

from ufos_nautilus.errors import DataError
from ufos_nautilus.limits import MICROPRICE_STATES_MAX


@dataclass(frozen=True, slots=True)
class MicroPrice:
    """A fitted micro-price; call it like any fair value.

    Parameters
    ----------
    tick_size : float
        Price units.
    adjustments : tuple of tuple of float, spreads x imbalances
        Price units to add to the mid: row i for a spread of i + 1 ticks, columns for imbalances from all offered to
        all bid in buckets of equal width. Wider spreads use the last row; between bucket centres it is interpolated.
    provenance : dict
        What it was fitted on, as plain data.

    Raises
    ------
    DataError
        When the table is empty, ragged, too large or not finite.

    """

    tick_size: float
    adjustments: tuple[tuple[float, ...], ...]
    provenance: dict[str, Any]

    def __post_init__(self) -> None:
        widths = {len(row) for row in self.adjustments}
        states = sum(len(row) for row in self.adjustments)
        if len(widths) != 1 or 0 in widths or states > MICROPRICE_STATES_MAX:
            raise DataError(
                "micro-price: the table of adjustments is empty, ragged or too large",
                expected=f"rows of equal length, at most {MICROPRICE_STATES_MAX:,} states",
                next_step="fit it again",
            )
        if not 0.0 < self.tick_size < math.inf or not all(math.isfinite(x) for row in self.adjustments for x in row):
            raise DataError("micro-price: tick or adjustments are not finite numbers", next_step="fit it again")

    def __call__(self, bid: float, bid_size: float, ask: float, ask_size: float) -> float:
        """Return the micro-price.

        Parameters
        ----------
        bid, ask : float
            Best prices, price units.
        bid_size, ask_size : float
            Sizes at them, any one unit.

        Returns
        -------
        float
            Price units; the mid where there are no sizes.

        """
        total = bid_size + ask_size
        if total <= 0.0:
            return 0.5 * (bid + ask)
        spread = int((ask - bid) / self.tick_size + 0.5)
        rows = self.adjustments
        row = rows[min(max(spread, 1), len(rows)) - 1]
        last = len(row) - 1
        place = bid_size / total * len(row) - 0.5
        if place <= 0.0:
            return 0.5 * (bid + ask) + row[0]
        if place >= last:
            return 0.5 * (bid + ask) + row[last]
        left = int(place)
        return 0.5 * (bid + ask) + row[left] + (place - left) * (row[left + 1] - row[left])

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON-ready data."""
        return {
            "kind": "micro-price",
            "tick_size": self.tick_size,
            "adjustments": [list(row) for row in self.adjustments],
            "provenance": dict(self.provenance),
        }

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Self:
        """Rebuild from `to_dict`.

        Raises
        ------
        DataError
            When the data are not those of a micro-price.

        """
        try:
            if data["kind"] != "micro-price":
                raise ValueError(data["kind"])
            table = tuple(tuple(float(x) for x in row) for row in data["adjustments"])
            return cls(float(data["tick_size"]), table, dict(data["provenance"]))
        except (KeyError, TypeError, ValueError) as error:
            raise DataError(
                f"not a fitted micro-price: {error!r}",
                expected="kind, tick_size, adjustments and provenance, as written by a fit",
                next_step="fit it again",
            ) from error
