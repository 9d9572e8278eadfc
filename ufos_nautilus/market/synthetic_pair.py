"""A generated pair of markets in which one leads: what the leader's mid does, the follower's does a moment later.

Both are markets as in `synthetic`. The leader's mid is a Brownian motion with jumps; the follower's takes the same
moves, times beta, `lag_s` later, and moves of its own. Whoever quotes the follower without watching the leader is run
over by each jump.
"""

import math
from collections import deque
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any, Final

from ufos_nautilus.market.recording import Batch, Recording
from ufos_nautilus.market.synthetic import START_NS, SingleMarketParams, brownian_moves, market_batches
from ufos_nautilus.market.synthetic_checks import check_fields, refusal
from ufos_nautilus.market.synthetic_tables import stream

OWNER: Final = "synthetic pair"


@dataclass(frozen=True, slots=True, kw_only=True)
class PairParams:
    """Parameters of `generate_pair`; those not listed are as in `SingleMarketParams` and hold for both markets.

    Parameters
    ----------
    leader_id, follower_id : str
        Symbols and venues.
    lag_s : float
        How much later the follower moves, seconds; taken to the nearest book update, at least one.
    beta : float
        Move of the follower per move of the leader.
    jump_rate : float
        Jumps of the leader per second, up and down alike.
    jump : float
        Size of a jump, price units.
    own_sigma : float
        Volatility of the follower's own moves, price units per square root of a second.

    """

    leader_id: str = "LEAD-PERP.SIM"
    follower_id: str = "FOLLOW-PERP.SIM"
    seed: int = 1
    start_ns: int = START_NS
    duration_s: float = 600.0
    book_interval_s: float = 0.1
    lag_s: float = 0.3
    beta: float = 1.0
    jump_rate: float = 0.05
    jump: float = 0.1
    sigma: float = 0.01
    own_sigma: float = 0.01
    mid: float = 100.0
    tick_size: str = "0.01"
    lot_size: str = "0.01"
    A: float = 1.0
    k: float = 20.0
    levels: int = 10
    spread_ticks: int = 1
    level_lots: int = 500
    trade_lots_min: int = 100
    trade_lots_mean: float = 150.0

    def __post_init__(self) -> None:
        check_fields(
            OWNER,
            self,
            positive=("lag_s", "duration_s", "book_interval_s"),
            not_negative=("beta", "jump_rate", "jump", "sigma", "own_sigma"),
        )
        if self.leader_id == self.follower_id:
            raise refusal(OWNER, "follower_id", self.follower_id, "another instrument than the leader")
        if self.jump_rate * self.book_interval_s > 0.5:
            raise refusal(OWNER, "jump_rate", self.jump_rate, "at most one jump per two book updates")
        self.market(self.leader_id)
        self.market(self.follower_id)

    @property
    def lag_updates(self) -> int:
        """The lag in book updates."""
        return max(1, round(self.lag_s / self.book_interval_s))

    def market(self, instrument_id: str) -> SingleMarketParams:
        """Return one market's parameters, its sigma being that of all the moves it takes (for checks and facts)."""
        jumps = self.jump_rate * self.jump**2
        leads = instrument_id == self.leader_id
        variance = self.sigma**2 + jumps if leads else self.beta**2 * (self.sigma**2 + jumps) + self.own_sigma**2
        shared = {
            name: getattr(self, name)
            for name in SingleMarketParams.__dataclass_fields__
            if name not in ("instrument_id", "sigma", "impact")
        }
        return SingleMarketParams(instrument_id=instrument_id, sigma=math.sqrt(variance), **shared)


def _leader_moves(p: PairParams) -> Iterator[float]:
    scale = p.sigma / (p.market(p.leader_id).sigma or 1.0)
    rng = stream(p.seed, p.leader_id, "jumps")
    chance = p.jump_rate * p.book_interval_s
    for move in brownian_moves(p.market(p.leader_id)):
        u = rng.random()
        yield move * scale + (0.0 if u >= chance else p.jump if u < 0.5 * chance else -p.jump)


def _follower_moves(p: PairParams) -> Iterator[float]:
    scale = p.own_sigma / (p.market(p.follower_id).sigma or 1.0)
    late: deque[float] = deque([0.0] * p.lag_updates)
    for lead, own in zip(_leader_moves(p), brownian_moves(p.market(p.follower_id)), strict=False):
        late.append(lead)
        yield p.beta * late.popleft() + own * scale


def _batches(p: PairParams, facts: dict[str, Any]) -> Iterator[Batch]:
    sources = []
    for name, moves in ((p.leader_id, _leader_moves(p)), (p.follower_id, _follower_moves(p))):
        market = p.market(name)
        sources.append(market_batches(market, market.instrument(), facts, moves))
    while sources:
        for source in list(sources):
            batch = next(source, None)
            if batch is None:
                sources.remove(source)
            else:
                yield batch


def generate_pair(params: PairParams) -> Recording:
    """Return a generated leader and follower: book deltas, quotes and trades of both.

    Parameters
    ----------
    params : PairParams
        What to generate.

    Returns
    -------
    Recording
        Its `facts` hold the parameters at once and the row counts (of both together) when the batches are exhausted.

    """
    facts: dict[str, Any] = {"generator": "pair", "params": asdict(params)}
    instruments = [params.market(name).instrument() for name in (params.leader_id, params.follower_id)]
    return Recording(instruments, _batches(params, facts), [], facts)
