"""Parameters of the desk's optional parts; every part that is not named in a spec is off."""

from datetime import date, time
from decimal import Decimal
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from ufos_nautilus.limits import QUOTE_LEVELS_MAX
from ufos_nautilus.pricing.horizon import SessionCalendar, SessionEnd

DAYS = {"mon": 0, "tue": 1, "wed": 2, "thu": 3, "fri": 4, "sat": 5, "sun": 6}


class Part(BaseModel):
    """Base of all parts: immutable, unknown keys refused, docstrings become schema descriptions."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)


class Artifact(Part):
    """A file made by `ufos calibrate`, named with its digest so that the same spec always means the same numbers."""

    file: str
    """Path, relative to where the command runs."""
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")
    """Of its content; `ufos calibrate` prints it."""


class LevelsPart(Part):
    """Several quotes per side."""

    count: int = Field(default=1, ge=1, le=QUOTE_LEVELS_MAX)
    """Quotes per side."""
    step_ticks: int = Field(default=1, ge=1)
    """Distance between them, ticks."""
    size_ratio: float = Field(default=1.0, gt=0, le=10)
    """Size of a level relative to the one before it."""


class IntensityPart(Part):
    """Fill intensity estimated online from own quotes and fills, with a_per_s and k_per_tick as the first belief."""

    prior_fills: float = Field(default=20.0, gt=0)
    """How many fills the belief counts for."""
    prior_from_market: bool = True
    """Replace the first belief by what trade sizes and the book say after the warm-up, where they say anything."""
    half_life_s: float = Field(default=1_800.0, gt=0)
    """Seconds after which an observation counts half."""
    ready_fills: float = Field(default=20.0, gt=0)
    """Own fills from which the estimate is called ready."""
    refresh_s: float = Field(default=10.0, gt=0)
    """Seconds between two estimates."""
    least_change: float = Field(default=0.05, ge=0)
    """Relative change of A or k below which the model is kept."""


class FlowPart(Part):
    """What order flow says about the next price."""

    half_life_s: float = Field(default=1.0, gt=0)
    """Seconds after which flow counts half."""
    ticks_per_unit: float
    """Move of the fair value per unit of order-flow imbalance, ticks."""
    most_ticks: float = Field(default=2.0, ge=0)
    """Largest move, ticks."""


class ToxicityPart(Part):
    """Wider quotes while volume is one-sided (VPIN), by way of the impact the model expects."""

    bucket_volume: float = Field(gt=0)
    """Volume of a bucket, units of the instrument; about a fiftieth of a day or of the run."""
    buckets: int = Field(default=50, ge=1, le=10_000)
    """Buckets averaged."""
    threshold: float = Field(default=0.5, ge=0, lt=1)
    """Toxicity from which the quotes widen."""
    most_ticks: float = Field(default=4.0, ge=0)
    """Impact added at toxicity 1, ticks."""


class FadePart(Part):
    """Get out of the way when a leading market moves (needs the actor `LeadLag`)."""

    hold_ms: float = Field(default=500.0, gt=0)
    """How long quotes stay wide after a signal, milliseconds."""
    widen_ticks: float = Field(default=10.0, ge=0)
    """Distance added meanwhile, ticks."""
    sides: Literal["exposed", "both"] = "exposed"
    """Which quotes are withdrawn and widened: those the move is coming for, or both."""


class HedgePart(Part):
    """Hold until a bound, then hedge on the market."""

    at: Decimal = Field(gt=0)
    """Absolute position, away from the target, from which it hedges; units."""
    to: Decimal = Field(default=Decimal(0), ge=0)
    """Absolute position it hedges down to, units."""
    algorithm: Literal["IOC", "TWAP"] = "IOC"
    """One order that fills at once or not at all, or slices over time."""
    horizon_s: float = Field(default=30.0, gt=0)
    """TWAP: time in which it is done, seconds."""
    interval_s: float = Field(default=5.0, gt=0)
    """TWAP: time between slices, seconds."""
    pause_s: float = Field(default=1.0, ge=0)
    """Shortest time from the end of one hedge to the next, seconds."""

    @model_validator(mode="after")
    def _down(self) -> "HedgePart":
        if self.to >= self.at:
            raise ValueError("a hedge goes down: `to` has to be below `at`")
        return self


class HangingPart(Part):
    """After a fill the other side's quotes stay where they are, to complete the round trip."""

    hold_s: float = Field(default=30.0, gt=0)
    """How long, seconds."""
    most_ticks: float = Field(default=20.0, gt=0)
    """Distance from fair value beyond which a quote is moved all the same, ticks."""


class SessionPart(Part):
    """Quote in sessions only, and be flat at their end."""

    opens: time
    """Local time."""
    closes: time
    """Local time; at or before `opens` it belongs to the next day."""
    zone: str = "UTC"
    """IANA time zone."""
    weekdays: list[Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]] = ["mon", "tue", "wed", "thu", "fri"]
    """Days on which sessions open."""
    holidays: list[date] = []
    """Days without a session."""
    early_closes: dict[date, time] = {}
    """Sessions that end early."""
    flat_s: float = Field(default=0.0, ge=0)
    """Seconds before the close from which the desk quotes no more and works its position off; 0 keeps it."""

    def horizon(self) -> SessionEnd:
        """Return the horizon."""
        calendar = SessionCalendar(
            self.opens,
            self.closes,
            self.zone,
            weekdays=tuple(DAYS[day] for day in self.weekdays),
            holidays=frozenset(self.holidays),
            early_closes=self.early_closes,
        )
        return SessionEnd(calendar, self.flat_s)


class FundingPart(Part):
    """A perpetual's funding: positions are worth less to whoever will pay it."""

    interval_s: float = Field(default=28_800.0, gt=0)
    """Seconds between fundings, from midnight UTC, until the venue announces the next."""
    holding_s: float = Field(default=60.0, gt=0)
    """Mean life of a position, seconds: only those near a funding pay it."""
