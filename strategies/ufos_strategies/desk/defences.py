"""The desk's defences: fading before a leader's move arrives, wider quotes while flow is toxic."""

from typing import Any, Final

from nautilus_trader.model import AggressorSide

from ufos_nautilus.pricing.defence import ToxicityWidening
from ufos_nautilus.pricing.order_flow import Vpin
from ufos_strategies.desk.config import MarketMakerConfig
from ufos_strategies.desk.ladder import NEVER

NS_PER_MS: Final = 1_000_000


class Defences:
    """What widens quotes beyond the model, and for how long.

    Parameters
    ----------
    config : MarketMakerConfig
        Parts `fade` and `toxicity`.

    """

    def __init__(self, config: MarketMakerConfig) -> None:
        self._fade = config.fade
        self._until_ns = 0
        self._buys = self._sells = False
        self.fades = 0
        """Signals of leaders acted on."""
        self.toxicity: Vpin | None = None
        self._widening: ToxicityWidening | None = None
        if config.toxicity is not None:
            part = config.toxicity
            self.toxicity = Vpin(part.bucket_volume, part.buckets)
            self._widening = ToxicityWidening(part.threshold, part.most_ticks)
        self.impact_most = 0.0
        """Largest impact that toxicity has added, ticks."""

    def on_leader(self, now_ns: int, move_bps: float) -> tuple[bool, bool]:
        """Take in a leader's move and return whether to withdraw bids and asks, now.

        A rising leader comes for the asks, a falling one for the bids.
        """
        if self._fade is None:
            return False, False
        self.fades += 1
        both = self._fade.sides == "both"
        ongoing = self.fading(now_ns)
        self._buys = both or move_bps < 0.0 or (ongoing and self._buys)
        self._sells = both or move_bps > 0.0 or (ongoing and self._sells)
        self._until_ns = now_ns + int(self._fade.hold_ms * NS_PER_MS)
        return self._buys, self._sells

    def fading(self, now_ns: int) -> bool:
        """Tell whether quotes are wider now because a leader moved."""
        return now_ns < self._until_ns

    def extra_ticks(self, now_ns: int) -> tuple[float, float]:
        """Return what to add to bid and ask depth now, ticks."""
        if self._fade is None or now_ns >= self._until_ns:
            return 0.0, 0.0
        widen = self._fade.widen_ticks
        return widen if self._buys else 0.0, widen if self._sells else 0.0

    def wake_ns(self, now_ns: int) -> int:
        """Return when quotes are to go back; `ladder.NEVER` where they are not away."""
        return self._until_ns if self._until_ns > now_ns else NEVER

    def on_trade(self, size: float, aggressor: Any) -> float:
        """Take in a trade of the market and return the impact to expect on top of the configured, ticks."""
        toxicity, widening = self.toxicity, self._widening
        if toxicity is None or widening is None or aggressor == AggressorSide.NO_AGGRESSOR:
            return 0.0
        toxicity.update(size, aggressor == AggressorSide.BUY)
        extra = widening(toxicity.value) if toxicity.ready else 0.0
        self.impact_most = max(self.impact_most, extra)
        return extra

    def figures(self) -> dict[str, Any]:
        """Return what the defences did."""
        out: dict[str, Any] = {}
        if self._fade is not None:
            out["fades"] = self.fades
        if self.toxicity is not None:
            out |= {"toxicity": round(self.toxicity.value, 6), "impact_most_ticks": round(self.impact_most, 6)}
        return out
