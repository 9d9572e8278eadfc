"""Watches spreads and publishes an alert where one is wider than it should be."""

from typing import Any, ClassVar

from nautilus_trader.model import InstrumentId, QuoteTick
from pydantic import Field

from ufos_nautilus.engine import Actor, ActorConfig, Alert
from ufos_nautilus.pricing.defence import SpreadWatch


class SpreadAnomalyConfig(ActorConfig):
    """Which spreads to watch, and what is out of the ordinary."""

    instrument_ids: list[str] = Field(min_length=1, max_length=1_000)
    """Instruments watched."""
    sigmas: float = Field(default=3.0, gt=0)
    """Deviations above the mean from which a spread is told."""
    half_life_s: float = Field(default=300.0, gt=0)
    """Half-life of mean and deviation, seconds."""
    warmup_s: float = Field(default=30.0, ge=0)
    """Seconds before anything is told."""
    floor_ticks: float = Field(default=0.5, gt=0)
    """Smallest deviation assumed, ticks."""

    def instruments(self) -> list[str]:
        """Return what is watched."""
        return self.instrument_ids


class SpreadAnomaly(Actor[SpreadAnomalyConfig]):
    """Publishes an `Alert` of kind ``spread``, in ticks, on ``alerts.spread``."""

    Config: ClassVar[type[ActorConfig]] = SpreadAnomalyConfig

    def __init__(self, config: SpreadAnomalyConfig) -> None:
        super().__init__(config)
        self.alerts = 0
        self._watches: dict[Any, tuple[str, float, SpreadWatch]] = {}

    def on_start(self) -> None:
        """Subscribe to all spreads."""
        p = self.params
        for name in p.instrument_ids:
            instrument_id = InstrumentId.from_str(name)
            instrument: Any = self.cache.instrument(instrument_id)
            watch = SpreadWatch(p.half_life_s, p.sigmas, warmup_s=p.warmup_s, floor=p.floor_ticks)
            self._watches[instrument_id] = (name, 1.0 / float(instrument.price_increment), watch)
            self.subscribe_quotes(instrument_id)

    def on_quote(self, quote: QuoteTick) -> None:
        """Judge the spread."""
        name, ticks_per_unit, watch = self._watches[quote.instrument_id]
        spread = (float(quote.ask_price) - float(quote.bid_price)) * ticks_per_unit
        found = watch.update(quote.ts_init, spread)
        if found is not None:
            self.alerts += 1
            detail = f"spread of {found.value:.1f} ticks, {found.sigmas:.1f} deviations above its mean"
            self.alert(Alert(quote.ts_init, self.params.actor_id, "spread", name, *found, detail))

    def figures(self) -> dict[str, Any]:
        """Return how many alerts there were."""
        return {"alerts": self.alerts}
