"""Whole ticks and lots of one instrument, and the engine's prices and quantities for them."""

from decimal import Decimal
from functools import lru_cache
from typing import Any

PRICES_KEPT = 4_096
"""Prices of the last ticks quoted that are kept ready made."""
QUANTITIES_KEPT = 1_024
"""Quantities kept ready made."""


class Grid:
    """Converts between units, ticks and lots.

    Parameters
    ----------
    instrument : Instrument
        The engine's.

    """

    def __init__(self, instrument: Any) -> None:
        self.instrument = instrument
        self.instrument_id = instrument.id
        self.tick = Decimal(str(instrument.price_increment))
        self.lot = Decimal(str(instrument.size_increment))
        self.ticks_per_unit = float(1 / self.tick)
        self.lots_per_unit = float(1 / self.lot)
        # Looked up at every quote, so kept: prices, quantities and their texts are made once.
        self.price_at = lru_cache(PRICES_KEPT)(self._price_at)
        self.price_text = lru_cache(PRICES_KEPT)(self._price_text)
        self.quantity_of = lru_cache(QUANTITIES_KEPT)(self._quantity_of)
        self.quantity_text = lru_cache(QUANTITIES_KEPT)(self._quantity_text)

    def lots_of(self, quantity: Decimal) -> int:
        """Return the whole lots in a quantity, its sign kept."""
        return int(quantity / self.lot)

    def lots_filled(self, quantity: Any) -> int:
        """Return the lots of the engine's quantity of a fill."""
        return round(float(quantity) * self.lots_per_unit)

    def _quantity_of(self, lots: int) -> Any:
        return self.instrument.make_qty(self.lot * lots)

    def _quantity_text(self, lots: int) -> str:
        return str(lots * self.lot)

    def _price_at(self, ticks: int) -> Any:
        return self.instrument.make_price(self.tick * ticks)

    def _price_text(self, ticks: int) -> str:
        return str(ticks * self.tick)
