"""Watches a leading market and tells desks of its followers before the move arrives there."""

from typing import Any, ClassVar, NamedTuple

from nautilus_trader.model import InstrumentId, QuoteTick
from pydantic import Field

from ufos_nautilus.engine import Actor, ActorConfig
from ufos_nautilus.pricing.defence import LeaderWatch

TOPIC = "signals.lead_lag"
"""Signals are published on ``signals.lead_lag.<follower>``."""


class LeadLagSignal(NamedTuple):
    """A leader has moved; the follower is expected to."""

    ts_ns: int
    leader: str
    follower: str
    move_bps: float
    """Signed move of the leader, basis points."""


class LeadLagConfig(ActorConfig):
    """Which market leads which, and what move counts."""

    leader: str
    """Instrument id of the leading market."""
    followers: list[str] = Field(min_length=1, max_length=100)
    """Instrument ids of the markets that follow."""
    threshold_bps: float = Field(default=5.0, gt=0)
    """Smallest move of the leader that is told, basis points."""
    window_s: float = Field(default=0.25, gt=0)
    """Time in which it has to happen, seconds."""

    def instruments(self) -> list[str]:
        """Return leader and followers."""
        return [self.leader, *self.followers]


class LeadLag(Actor[LeadLagConfig]):
    """Publishes a `LeadLagSignal` per follower whenever the leader's mid has moved far enough."""

    Config: ClassVar[type[ActorConfig]] = LeadLagConfig

    def __init__(self, config: LeadLagConfig) -> None:
        super().__init__(config)
        self.signals = 0
        self._watch = LeaderWatch(config.threshold_bps, config.window_s)
        self._topics = [(f"{TOPIC}.{name}", name) for name in config.followers]

    def on_start(self) -> None:
        """Subscribe to the leader's best prices."""
        self.subscribe_quotes(InstrumentId.from_str(self.params.leader))

    def on_quote(self, quote: QuoteTick) -> None:
        """Tell the followers where the leader has moved."""
        move = self._watch.update(quote.ts_init, 0.5 * (float(quote.bid_price) + float(quote.ask_price)))
        if move:
            self.signals += 1
            for topic, follower in self._topics:
                self.publish_message(topic, LeadLagSignal(quote.ts_init, self.params.leader, follower, move))

    def figures(self) -> dict[str, Any]:
        """Return how often the leader moved."""
        return {"signals": self.signals}
