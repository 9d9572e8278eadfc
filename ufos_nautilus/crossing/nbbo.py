"""The consolidated best bid and offer of one symbol: which venue shows it, how old it is and whether it can be used."""

from enum import StrEnum

import msgspec

from ufos_nautilus.errors import DataError, LimitExceededError, SpecError
from ufos_nautilus.limits import NBBO_VENUES_MAX


class NbboStatus(StrEnum):
    """Whether a cross may lean on it; only OK may."""

    OK = "ok"
    STALE = "stale"
    """A side is older than the age limit, or carries a time that has not come yet."""
    LOCKED = "locked"
    CROSSED = "crossed"
    ONE_SIDED = "one_sided"
    MISSING = "missing"


class Nbbo(msgspec.Struct, frozen=True, gc=False):
    """The national best bid and offer at one moment.

    Prices are in units of the symbol's grid (not half units), sizes in size units, times in UNIX nanoseconds.
    A side nobody quotes has price None, size 0, an empty venue and time 0.
    """

    ts_ns: int
    status: NbboStatus
    bid: int | None
    bid_size: int
    bid_venue: str
    bid_ts_ns: int
    ask: int | None
    ask_size: int
    ask_venue: str
    ask_ts_ns: int

    @property
    def bid_age_ns(self) -> int:
        """Return nanoseconds since the best bid's venue last quoted; negative if the quote lies in the future."""
        return self.ts_ns - self.bid_ts_ns

    @property
    def ask_age_ns(self) -> int:
        """Return nanoseconds since the best offer's venue last quoted."""
        return self.ts_ns - self.ask_ts_ns

    @property
    def age_ns(self) -> int:
        """Return the age of the older side."""
        return self.ts_ns - min(self.bid_ts_ns, self.ask_ts_ns)


_Quote = tuple[int | None, int, int | None, int, int]
"""Bid, bid size, ask, ask size, time."""


class NbboBook:
    """Keeps each venue's last quote of one symbol and the best of them.

    At equal prices the freshest venue is named as the source: a price confirmed by a fresh quote is not stale because
    another venue shows it too. A venue away from the best never makes the NBBO stale, since only the touch sets the
    midpoint; a venue that is down must be withdrawn by its adapter.

    Parameters
    ----------
    age_limit_ns : int
        A best bid or offer older than this is stale.

    """

    __slots__ = ("_best_ask", "_best_bid", "_quotes", "age_limit_ns", "ask", "bid", "oldest_ns")

    def __init__(self, age_limit_ns: int) -> None:
        if age_limit_ns <= 0:
            raise SpecError(f"age limit of {age_limit_ns} ns", expected="nanoseconds above zero")
        self.age_limit_ns = age_limit_ns
        self.bid: int | None = None
        self.ask: int | None = None
        self.oldest_ns = 0
        """Time of the older side of the best; meaningless unless both sides are quoted."""
        self._quotes: dict[str, _Quote] = {}
        self._best_bid = self._best_ask = ("", 0, 0)
        """Venue, size and time of each side's best."""

    def update(self, venue: str, bid: int | None, bid_size: int, ask: int | None, ask_size: int, ts_ns: int) -> None:
        """Take a venue's new quote.

        Parameters
        ----------
        venue : str
            Who quotes; a feed that is consolidated already counts as one venue.
        bid, ask : int or None
            Prices in units of the grid; None where that side is not quoted.
        bid_size, ask_size : int
            Size units; a side of size 0 is not quoted.
        ts_ns : int
            When the quote reached us, UNIX nanoseconds.

        Raises
        ------
        DataError
            If the venue's time goes back, a size is negative or the venue has no name; nothing is changed then.
        LimitExceededError
            If there are more venues than `NBBO_VENUES_MAX`.

        """
        quotes = self._quotes
        last = quotes.get(venue)
        if last is None or ts_ns < last[4] or bid_size < 0 or ask_size < 0:
            self._check(venue, last, bid_size, ask_size, ts_ns)
        if bid is None or not bid_size:
            bid, bid_size = None, 0
        if ask is None or not ask_size:
            ask, ask_size = None, 0
        quotes[venue] = (bid, bid_size, ask, ask_size, ts_ns)
        if len(quotes) == 1:
            self.bid, self.ask, self.oldest_ns = bid, ask, ts_ns
            self._best_bid, self._best_ask = (venue, bid_size, ts_ns), (venue, ask_size, ts_ns)
        else:
            self._consolidate()

    def _check(self, venue: str, last: _Quote | None, bid_size: int, ask_size: int, ts_ns: int) -> None:
        if not venue:
            raise DataError("a quote names no venue", expected="the venue it came from")
        if last is None and len(self._quotes) >= NBBO_VENUES_MAX:
            raise LimitExceededError(f"more than {NBBO_VENUES_MAX} venues", expected="a consolidated feed instead")
        if last is not None and ts_ns < last[4]:
            raise DataError(f"{venue}: a quote of {ts_ns} after one of {last[4]}", expected="times that never go back")
        if bid_size < 0 or ask_size < 0:
            raise DataError(f"{venue}: negative size at {ts_ns}", expected="sizes of zero or more")

    def withdraw(self, venue: str, ts_ns: int) -> None:
        """Take a venue out until it quotes again: its feed is down or it halted the symbol."""
        self.update(venue, None, 0, None, 0, ts_ns)

    def _consolidate(self) -> None:
        bid = ask = None
        bid_venue = ask_venue = ""
        bid_size = ask_size = bid_ts = ask_ts = 0
        for venue, (b, b_size, a, a_size, ts) in self._quotes.items():
            if b is not None:
                if bid is None or b > bid:
                    bid, bid_size, bid_venue, bid_ts = b, b_size, venue, ts
                elif b == bid:
                    bid_size += b_size
                    if (ts, venue) > (bid_ts, bid_venue):
                        bid_venue, bid_ts = venue, ts
            if a is not None:
                if ask is None or a < ask:
                    ask, ask_size, ask_venue, ask_ts = a, a_size, venue, ts
                elif a == ask:
                    ask_size += a_size
                    if (ts, venue) > (ask_ts, ask_venue):
                        ask_venue, ask_ts = venue, ts
        self.bid, self.ask, self.oldest_ns = bid, ask, min(bid_ts, ask_ts)
        self._best_bid, self._best_ask = (bid_venue, bid_size, bid_ts), (ask_venue, ask_size, ask_ts)

    def status(self, now_ns: int) -> NbboStatus:
        """Return whether the NBBO can be used at `now_ns`; of several defects the first of the list below is named.

        Missing, one-sided, stale, crossed, locked.
        """
        bid, ask = self.bid, self.ask
        if bid is None or ask is None:
            return NbboStatus.MISSING if bid is None and ask is None else NbboStatus.ONE_SIDED
        if now_ns - self.oldest_ns > self.age_limit_ns or max(self._best_bid[2], self._best_ask[2]) > now_ns:
            return NbboStatus.STALE
        if bid >= ask:
            return NbboStatus.CROSSED if bid > ask else NbboStatus.LOCKED
        return NbboStatus.OK

    def at(self, now_ns: int) -> Nbbo:
        """Return the NBBO as seen at `now_ns`: prices, sizes at the best price over all venues, sources and times."""
        bid_venue, bid_size, bid_ts = self._best_bid if self.bid is not None else ("", 0, 0)
        ask_venue, ask_size, ask_ts = self._best_ask if self.ask is not None else ("", 0, 0)
        return Nbbo(
            now_ns,
            self.status(now_ns),
            self.bid,
            bid_size,
            bid_venue,
            bid_ts,
            self.ask,
            ask_size,
            ask_venue,
            ask_ts,
        )
