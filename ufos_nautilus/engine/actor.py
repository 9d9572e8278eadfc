"""Base class of actors a run spec can name: they watch the market and publish what they see, and send no orders."""

from collections.abc import Mapping
from typing import Any, ClassVar, NamedTuple, Self

from nautilus_trader.common import DataActor, DataActorConfig
from nautilus_trader.model import ActorId
from pydantic import BaseModel, ConfigDict, Field

from ufos_nautilus.engine.guard import Guarded
from ufos_nautilus.engine.turns import InTurn

ALERTS_TOPIC = "alerts"
"""Alerts are published on ``alerts.<kind>``; the recorder writes all of them down."""


class Alert(NamedTuple):
    """Something out of the ordinary; a row of table `alerts`."""

    ts_ns: int
    source: str
    """Who says so: an actor or a book."""
    kind: str
    """For example ``spread``; the last part of the topic."""
    instrument_id: str
    value: float
    mean: float
    """What is usual."""
    deviation: float
    """How much it usually varies."""
    detail: str = ""


class ActorConfig(BaseModel):
    """Parameters that every actor has; subclass it and add your own, with units in the names."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    actor_id: str = Field(default="ACTOR-1", pattern=r"^[A-Z][A-Z0-9]*-[A-Z0-9-]{1,32}$")
    """Upper-case name with a dash."""

    def instruments(self) -> list[str]:
        """Return the instruments it needs, so that a missing one is refused before the run."""
        return []


class Actor[C: ActorConfig](InTurn, Guarded, DataActor):
    """Subclass it, give it a config, override callbacks.

    Parameters
    ----------
    config : ActorConfig
        Validated parameters; kept as `params`.

    """

    Config: ClassVar[type[ActorConfig]] = ActorConfig
    params: C

    def __new__(cls, config: C, *_: Any) -> Self:
        """Give the engine its own part of the configuration."""
        native = DataActorConfig(actor_id=ActorId(config.actor_id))
        return super().__new__(cls, native)  # pyright: ignore[reportCallIssue] (the stub lacks __new__)

    def __init__(self, config: C) -> None:
        self.params = config
        self.facts: Mapping[str, Mapping[str, Any]] = {}
        """What the data's manifests know by symbol: dividends, distributions, splits, sub-industries."""

    def alert(self, alert: Alert) -> None:
        """Publish an alert."""
        self.publish_message(f"{ALERTS_TOPIC}.{alert.kind}", alert)

    def figures(self) -> dict[str, Any]:
        """Return what the actor counted, as plain data for the run's result; nothing unless overridden."""
        return {}
