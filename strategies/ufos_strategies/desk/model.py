"""The desk's view of the market: fair value, volatility, time left, and the depths its model asks for."""

import json
import math
from collections import OrderedDict
from pathlib import Path

from ufos_nautilus.errors import DataError
from ufos_nautilus.limits import QUOTER_TABLES_CACHED_MAX
from ufos_nautilus.pricing.fair_value import FAIR_VALUES, FairValue
from ufos_nautilus.pricing.horizon import Horizon, NextFunding, SessionEnd
from ufos_nautilus.pricing.microprice import MicroPrice
from ufos_nautilus.pricing.order_flow import OrderFlowImbalance
from ufos_nautilus.pricing.quoter import Depths, Quoter
from ufos_nautilus.pricing.volatility import EstimatorState, EwmaVolatility
from ufos_strategies.desk.config import MarketMakerConfig
from ufos_strategies.desk.parts import Artifact
from ufos_strategies.quoters import make_quoter

Market = tuple[float, float, float, float]
"""Bid, bid size, ask, ask size; prices in ticks."""

NOT_ASKED = (math.nan, math.nan)


class DeskModel:
    """Fair value and depths in ticks.

    Parameters
    ----------
    config : MarketMakerConfig
        Parameters of the desk.
    bound_orders : int
        Inventory bound in whole orders.

    """

    def __init__(self, config: MarketMakerConfig, bound_orders: int) -> None:
        self.config, self.bound_orders, self._horizon_s = config, bound_orders, config.horizon_s
        self.a_per_s, self.k_per_tick = config.a_per_s, config.k_per_tick
        self.xi_extra = 0.0
        """Impact expected on top of `xi_ticks` at the moment, ticks."""
        self._from_ns = int(config.quote_from.timestamp() * 1e6) * 1_000 if config.quote_from is not None else 0
        self._touch = _fair_value(config)
        self._flow = OrderFlowImbalance(config.flow.half_life_s) if config.flow is not None else None
        self.session: SessionEnd | None = config.session.horizon() if config.session is not None else None
        self.funding: NextFunding | None = None
        if config.funding is not None:
            self.funding = NextFunding(config.funding.interval_s)
        self._horizon: Horizon | None = self.session or self.funding
        self.volatility = EwmaVolatility(
            config.volatility_half_life_s,
            sample_s=config.volatility_sample_s,
            warmup_s=config.warmup_s,
            prior_sigma=config.sigma_ticks,
            prior_s=config.volatility_half_life_s if config.sigma_ticks else 0.0,
        )
        self._asked: tuple[float, float] = NOT_ASKED
        """Inventory and volatility of the last depths."""
        self._depths = Depths(None, None)
        self._quoters: OrderedDict[tuple[float, float, float], Quoter] = OrderedDict()
        self._quoter = self._made()

    def warm(self, now_ns: int) -> bool:
        """Tell whether the volatility has seen enough and the time to quote has come."""
        return now_ns >= self._from_ns and self.volatility.state(now_ns) is not EstimatorState.WARMING_UP

    def fair(self, now_ns: int, market: Market) -> float:
        """Take in the top of the book and return the fair value, ticks."""
        fair = self._touch(*market)
        self.volatility.update(now_ns, fair)
        flow = self._flow
        if flow is not None:
            part = self.config.flow
            assert part is not None
            shift = part.ticks_per_unit * flow.update(now_ns, *market)
            most = part.most_ticks
            fair += most if shift > most else -most if shift < -most else shift
        if self.funding is not None:
            assert self.config.funding is not None
            fair -= self.funding.shift(fair, now_ns, self.config.funding.holding_s)
        return fair

    def depths(self, inventory_orders: float, now_ns: int) -> Depths:
        """Return the depths at an inventory in orders, ticks from fair value."""
        sigma, time_left = self.volatility.sigma, self._horizon_s
        if self._horizon is not None:
            time_left = min(time_left, self._horizon.time_left_s(now_ns))
        elif inventory_orders == self._asked[0] and sigma == self._asked[1]:
            return self._depths  # the volatility is sampled, so most market events change neither
        self._asked = inventory_orders, sigma
        self._depths = depths = self._quoter.quote(inventory_orders, sigma, time_left)
        return depths

    def set_intensity(self, a_per_s: float, k_per_tick: float) -> None:
        """Use another fill intensity from now on."""
        self.a_per_s, self.k_per_tick = a_per_s, k_per_tick
        self._quoter = self._made()

    def set_impact(self, extra_ticks: float) -> None:
        """Expect this much impact on top of the configured from now on."""
        if extra_ticks != self.xi_extra:
            self.xi_extra = extra_ticks
            self._quoter = self._made()

    def _made(self) -> Quoter:
        """Return the model for the present parameters; the last few are kept, as their tables take time to build."""
        p, self._asked = self.config, NOT_ASKED
        key = (self.a_per_s, self.k_per_tick, self.xi_extra)
        quoter = self._quoters.get(key)
        if quoter is None:
            quoter = self._quoters[key] = make_quoter(
                p.quoter,
                gamma=p.gamma,
                k=self.k_per_tick,
                a_per_s=self.a_per_s,
                xi=p.xi_ticks + self.xi_extra,
                horizon_s=p.horizon_s,
                bound_orders=self.bound_orders,
            )
            if len(self._quoters) > QUOTER_TABLES_CACHED_MAX:
                self._quoters.popitem(last=False)
        else:
            self._quoters.move_to_end(key)
        return quoter


def _fair_value(config: MarketMakerConfig) -> FairValue:
    if config.microprice is None:
        return FAIR_VALUES[config.fair_value]
    return read_microprice(config.microprice)


def read_microprice(artifact: Artifact) -> MicroPrice:
    """Read a fitted micro-price and return it with ticks as price units.

    Raises
    ------
    DataError
        When the file is not the one named, or no micro-price.

    """
    from ufos_nautilus.research.parameter_file import read_bound

    text = read_bound(Path(artifact.file), artifact.sha256, "micro-price")
    try:
        data = json.loads(text)
    except ValueError as error:
        raise DataError(f"{artifact.file} is not JSON: {error}", next_step="fit it again") from error
    fitted = MicroPrice.from_dict(data)
    in_ticks = tuple(tuple(x / fitted.tick_size for x in row) for row in fitted.adjustments)
    return MicroPrice(1.0, in_ticks, fitted.provenance)
