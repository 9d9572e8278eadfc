"""Parameters of the desk: what to quote, with which model, and which optional parts are on."""

from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, model_validator

from ufos_nautilus.engine import BookConfig
from ufos_strategies.desk.parts import (
    Artifact,
    FadePart,
    FlowPart,
    FundingPart,
    HangingPart,
    HedgePart,
    IntensityPart,
    LevelsPart,
    SessionPart,
    ToxicityPart,
)


class MarketMakerConfig(BookConfig):
    """Parameters of the desk; prices in ticks and sizes in orders, so that they mean the same for any instrument."""

    instrument_id: str
    """What to quote."""
    calibration: Artifact | None = None
    """Parameters estimated by `ufos calibrate`; what is written beside it wins."""
    order_size: Decimal = Field(gt=0)
    """Size of one quote, in units (or contracts) of the instrument."""
    max_inventory: Decimal = Field(gt=0)
    """Largest absolute position; quotes that could exceed it are cut or not sent."""
    inventory_target: Decimal = Decimal(0)
    """Position the desk leans towards, units; within max_inventory."""
    quoter: Literal["glft", "glft_closed_form", "glft_exact", "cartea_jaimungal", "avellaneda_stoikov", "symmetric"] = (
        "glft"
    )
    """Model of the depths."""
    fair_value: Literal["mid", "weighted_mid", "microprice"] = "weighted_mid"
    """What the depths are measured from."""
    microprice: Artifact | None = None
    """The fitted micro-price, where that is the fair value."""
    flow: FlowPart | None = None
    """Moves the fair value with order flow."""
    gamma: float = Field(default=0.01, gt=0)
    """Risk aversion, per (tick x order)."""
    k_per_tick: float = Field(default=0.3, gt=0)
    """Decay of the fill intensity with depth, per tick."""
    a_per_s: float = Field(default=1.0, gt=0)
    """Fill intensity at zero depth, per second."""
    xi_ticks: float = Field(default=0.0, ge=0)
    """Expected move against the desk at each fill, ticks (GLFT and Cartea-Jaimungal)."""
    intensity: IntensityPart | None = None
    """Estimates A and k online."""
    horizon_s: float = Field(default=300.0, gt=0)
    """Rolling horizon of models with one, seconds; with a session or fundings the time to their end, this at most."""
    session: SessionPart | None = None
    """When to quote."""
    funding: FundingPart | None = None
    """A perpetual's funding."""
    sigma_ticks: float = Field(default=0.0, ge=0)
    """Volatility believed before any data, ticks per square root of a second; 0 for no belief."""
    volatility_half_life_s: float = Field(default=60.0, gt=0)
    """Half-life of the volatility estimate, seconds."""
    volatility_sample_s: float = Field(default=1.0, ge=0)
    """Shortest time between two prices the estimate compares, seconds."""
    warmup_s: float = Field(default=10.0, ge=0)
    """Seconds of data before the first quote."""
    quote_from: datetime | None = None
    """No quote before this instant (UTC), for books that have to be read from their beginning."""
    levels: LevelsPart | None = None
    """Several quotes per side."""
    size_shape: float = Field(default=0.0, ge=0, le=100)
    """Shrinks the side that adds to the position by exp(-size_shape * |position| / max_inventory)."""
    fee_rate: float = Field(default=0.0, gt=-0.1, lt=0.1)
    """Maker fee as a fraction of notional that every quote has to earn on top of its depth; negative for a rebate."""
    minimum_spread_ticks: int = Field(default=1, ge=1)
    """Narrowest own spread, ticks."""
    tolerance_ticks: int = Field(default=1, ge=1)
    """Smallest move of a quote that is worth sending, ticks."""
    minimum_interval_ms: float = Field(default=0.0, ge=0)
    """Shortest time between two changes of one quote, milliseconds."""
    max_order_age_s: float = Field(default=0.0, ge=0)
    """An order older than this is replaced even where its price is right, seconds; 0 for no limit."""
    fill_delay_s: float = Field(default=0.0, ge=0)
    """Time after a fill in which no new quote is sent, seconds."""
    hanging: HangingPart | None = None
    """Leaves the other side's quotes where they are after a fill."""
    fade: FadePart | None = None
    """Withdraws quotes when a leading market moves."""
    toxicity: ToxicityPart | None = None
    """Widens quotes while volume is one-sided."""
    hedge: HedgePart | None = None
    """Hedges a position that grew too large."""
    source: Literal["book", "orders", "quotes"] = "book"
    """What drives the quote loop: events of a book by price, of a book order by order, or top-of-book quotes."""
    residual_edge_ticks: float = Field(default=0.0)
    """Least distance from the reservation price at which a client's residual is taken, ticks."""
    cancel_on_stop: bool = True
    """Withdraw all quotes when the desk stops."""

    @model_validator(mode="before")
    @classmethod
    def _calibrated(cls, data: Any) -> Any:
        artifact = data.get("calibration") if isinstance(data, dict) else None
        if not isinstance(artifact, dict | Artifact):
            return data
        from ufos_nautilus.errors import SpecError
        from ufos_nautilus.research.parameter_file import read_calibration

        named = artifact if isinstance(artifact, Artifact) else Artifact.model_validate(artifact)
        found = read_calibration(Path(named.file), named.sha256)
        if found.instrument_id != data.get("instrument_id", found.instrument_id):
            raise SpecError(
                f"the calibration {named.file} is for {found.instrument_id}, not for {data['instrument_id']}",
                expected="a calibration of the instrument that is quoted",
            )
        known = {k: v for k, v in found.parameters.items() if k in cls.model_fields}
        return known | data

    @model_validator(mode="after")
    def _makes_sense(self) -> "MarketMakerConfig":
        if self.max_inventory < self.order_size:
            raise ValueError("max_inventory is below order_size, so no quote could ever be sent")
        if abs(self.inventory_target) > self.max_inventory:
            raise ValueError("inventory_target is beyond max_inventory")
        if (self.fair_value == "microprice") != (self.microprice is not None):
            raise ValueError("fair_value = 'microprice' and the file `microprice` belong together")
        if self.hedge is not None and self.hedge.at > self.max_inventory:
            raise ValueError("hedge.at is beyond max_inventory, so it would never hedge")
        if self.quote_from is not None and self.quote_from.tzinfo is None:
            raise ValueError("quote_from has no time zone; write it like 2024-08-09T00:00:00Z")
        if self.session is not None and self.funding is not None:
            raise ValueError("session and funding are two horizons; name one")
        return self
