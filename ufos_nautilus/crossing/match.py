"""Which tickets of a pool cross: opposite sides, different owners, at the exact midpoint of a usable market."""

from collections.abc import Callable, Iterator
from typing import Final

from ufos_nautilus.crossing.nbbo import NbboStatus
from ufos_nautilus.crossing.pool import Pool, Queue, Resting
from ufos_nautilus.crossing.terms import FEE_DECIMALS, CrossingRules
from ufos_nautilus.crossing.ticket import Ticket
from ufos_nautilus.limits import CROSS_PAIRS_PER_SCAN_MAX

Restricted = Callable[[Ticket], bool]
"""Returns True where the ticket's owner may not trade its name; asked each time a pair is looked at."""
FEE_SCALE: Final = 10 ** (4 + FEE_DECIMALS)
"""Parts of one: a basis point is a ten-thousandth, and a fee has `FEE_DECIMALS` more."""


def usable_mid(pool: Pool, status: NbboStatus, fee_parts: int) -> int | None:
    """Return the midpoint in half units at which tickets may cross now, or None.

    Parameters
    ----------
    pool : Pool
        Whose market is asked.
    status : NbboStatus
        Status of that market now.
    fee_parts : int
        Fee of each side in `FEE_SCALE` parts of the value.

    """
    bid, ask = pool.nbbo.bid, pool.nbbo.ask
    if status is not NbboStatus.OK or bid is None or ask is None:
        return None
    gain, mid = ask - bid, bid + ask
    if gain < pool.min_gain or abs(mid) * fee_parts > gain * FEE_SCALE:
        return None
    return mid


class Matcher:
    """Finds pairs one at a time, so that the caller can reserve each before the next is looked for.

    The pair found is always one that no other has a better claim to: no ticket of higher priority could trade with
    either side. Between the two sides the one whose first ticket is older chooses first.

    Parameters
    ----------
    rules : CrossingRules
        Size limits.
    restricted : Restricted or None
        Who may not trade what.

    """

    def __init__(self, rules: CrossingRules, restricted: Restricted | None) -> None:
        self.rules = rules
        self._restricted = restricted
        self._pairs_left = 0
        self.unsure = False
        """The last search left pairs out that may cross later without any change of pool or market."""

    def first_partner(self, pool: Pool, entry: Resting, mid: int) -> Resting | None:
        """Return whom a ticket trades with that has just come, in a pool that was settled at `mid` before it."""
        if entry.is_buy:
            others, bound = pool.sells, mid
        else:
            others, bound = pool.buys, -mid
        self._pairs_left = CROSS_PAIRS_PER_SCAN_MAX
        self.unsure = False
        if entry.rank > -bound or not others or self._is_restricted(entry):
            return None
        return self._partner(entry, others, bound, pool.min_cross)

    def all(self, pool: Pool, mid: int) -> Iterator[tuple[Resting, Resting]]:
        """Yield (buy, sell) pairs until no two tickets of the pool can cross at `mid`.

        The caller reserves each pair before asking for the next, and calls `rescan` when a ticket's minimum fell,
        because tickets passed over before may then have a claim.
        """
        self._pairs_left = CROSS_PAIRS_PER_SCAN_MAX
        self.unsure = False
        self._rescan = True
        outer, inner, reach, bound, i = pool.buys, pool.sells, -mid, mid, 0
        failed: dict[str, tuple[int, int]] = {}
        while pool.buys and pool.sells:
            if self._rescan:
                self._rescan = False
                failed.clear()
                i = 0
                if pool.buys[0][1] < pool.sells[0][1]:
                    outer, inner, reach, bound = pool.buys, pool.sells, -mid, mid
                else:
                    outer, inner, reach, bound = pool.sells, pool.buys, mid, -mid
            if i >= len(outer) or outer[i][0] > reach or inner[0][0] > bound:
                return
            if self._pairs_left < 0:
                self.unsure = True
                return
            entry = outer[i][2]
            if self._is_restricted(entry):
                i += 1
                continue
            minimum = min(entry.minimum, entry.open)
            before = failed.get(entry.beneficiary)
            if before is not None and entry.blocked is None and entry.open <= before[0] and minimum >= before[1]:
                i += 1  # the same owner failed with more to offer and a smaller minimum
                continue
            partner = self._partner(entry, inner, bound, pool.min_cross)
            if partner is None:
                if entry.blocked is None:
                    failed[entry.beneficiary] = (entry.open, minimum)
                i += 1
                continue
            yield (entry, partner) if entry.is_buy else (partner, entry)

    def rescan(self) -> None:
        """Start `all` over from the highest priority."""
        self._rescan = True

    def _is_restricted(self, entry: Resting) -> bool:
        if self._restricted is None or not self._restricted(entry.ticket):
            return False
        self.unsure = True
        return True

    def _partner(self, entry: Resting, others: Queue, bound: int, min_cross: int) -> Resting | None:
        """Return the first of `others` within its limit that may trade with `entry`, or None."""
        size, owner, blocked = entry.open, entry.beneficiary, entry.blocked
        least = max(min(entry.minimum, size), min_cross)
        if size < least:
            return None
        for looked, (rank, _, other) in enumerate(others):
            if rank > bound:
                self._pairs_left -= looked
                return None
            if other.beneficiary == owner:
                continue
            available = other.open
            if available < least or min(other.minimum, available) > size:
                continue
            if blocked is not None and other.order_id in blocked:
                continue
            if self._is_restricted(other):
                continue
            self._pairs_left -= looked + 1
            return other
        self._pairs_left -= len(others)
        return None
