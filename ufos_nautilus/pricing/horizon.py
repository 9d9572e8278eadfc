"""How much time a quoter has left: to the end of a session, always the same, or to the next funding."""

import math
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Protocol
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from ufos_nautilus.errors import SpecError
from ufos_nautilus.pricing.quoter import check_positive

NS_PER_S = 1_000_000_000
DAYS_AHEAD = 400
"""Days searched for the next session; a calendar without one in that time is refused."""


class Horizon(Protocol):
    """Time left until the position is to be flat, or is paid for."""

    def time_left_s(self, now_ns: int) -> float:
        """Return seconds left at `now_ns` (UNIX nanoseconds), zero or more."""
        ...


class Rolling:
    """Always the same time left: for markets that never close.

    Parameters
    ----------
    window_s : float
        Seconds.

    """

    __slots__ = ("window_s",)

    def __init__(self, window_s: float) -> None:
        check_positive("rolling horizon", window_s=window_s)
        self.window_s = window_s

    def time_left_s(self, now_ns: int) -> float:
        """Return the window."""
        return self.window_s


@dataclass(frozen=True, slots=True)
class Session:
    """One session: its first and last instant, UNIX nanoseconds, the end exclusive."""

    open_ns: int
    close_ns: int


class SessionCalendar:
    """Sessions of a market in its own time zone, daylight saving included.

    Parameters
    ----------
    opens, closes : time
        Local wall-clock times; a close at or before the open belongs to the next day (overnight sessions).
    zone : str
        IANA name, for example ``"America/New_York"``.
    weekdays : tuple of int
        Days on which sessions open, Monday 0 to Sunday 6.
    holidays : frozenset of date
        Local dates on which no session opens.
    early_closes : dict of date to time
        Local dates of sessions that end early, by the date they open.

    Raises
    ------
    SpecError
        For an unknown zone, days that don't exist, or an early close outside its session.

    """

    def __init__(
        self,
        opens: time,
        closes: time,
        zone: str = "UTC",
        *,
        weekdays: tuple[int, ...] = (0, 1, 2, 3, 4),
        holidays: frozenset[date] = frozenset(),
        early_closes: dict[date, time] | None = None,
    ) -> None:
        try:
            self.zone = ZoneInfo(zone)
        except (ZoneInfoNotFoundError, ValueError) as error:
            raise SpecError(f"there is no time zone {zone!r}", expected="an IANA name, e.g. Europe/Berlin") from error
        if not weekdays or not all(0 <= day <= 6 for day in weekdays):
            raise SpecError(f"weekdays are {weekdays}", expected="numbers from 0 (Monday) to 6 (Sunday)")
        self.opens, self.closes = opens, closes
        self.weekdays, self.holidays = frozenset(weekdays), holidays
        self.early_closes = dict(early_closes or {})
        for day in self.early_closes:
            if self._instant(day, self.early_closes[day]) <= self._instant(day, opens):
                raise SpecError(f"the early close of {day} is not after the open", expected="a time in the session")

    def _instant(self, day: date, at: time) -> int:
        """Return UNIX nanoseconds of a local wall-clock time, exactly."""
        delta = datetime.combine(day, at, self.zone).astimezone(UTC) - datetime(1970, 1, 1, tzinfo=UTC)
        return (delta.days * 86_400 + delta.seconds) * NS_PER_S + delta.microseconds * 1_000

    def session_on(self, day: date) -> Session | None:
        """Return the session that opens on a local date, or None."""
        if day.weekday() not in self.weekdays or day in self.holidays:
            return None
        ends = day + timedelta(days=1) if self.closes <= self.opens else day
        close_ns = self._instant(ends, self.closes)
        if day in self.early_closes:
            close_ns = min(close_ns, self._instant(day, self.early_closes[day]))
        return Session(self._instant(day, self.opens), close_ns)

    def at(self, now_ns: int) -> Session:
        """Return the session in progress at `now_ns`, or else the next one.

        Raises
        ------
        SpecError
            Where none opens within `DAYS_AHEAD` days.

        """
        day = datetime.fromtimestamp(now_ns // NS_PER_S, self.zone).date() - timedelta(days=1)
        for _ in range(DAYS_AHEAD):
            session = self.session_on(day)
            if session is not None and now_ns < session.close_ns:
                return session
            day += timedelta(days=1)
        raise SpecError(f"no session opens within {DAYS_AHEAD} days", expected="a calendar with sessions")


class SessionEnd:
    """Time to the end of the session in progress; nothing outside of it.

    Parameters
    ----------
    calendar : SessionCalendar
        When the market is open.
    flat_s : float
        Seconds before the close at which the time left is already zero.

    """

    __slots__ = ("_session", "calendar", "flat_ns")

    def __init__(self, calendar: SessionCalendar, flat_s: float = 0.0) -> None:
        if not 0.0 <= flat_s < math.inf:
            raise SpecError(f"session horizon: flat_s is {flat_s}", expected="zero or more")
        self.calendar = calendar
        self.flat_ns = round(flat_s * NS_PER_S)
        self._session = Session(0, 0)

    def session(self, now_ns: int) -> Session:
        """Return the session in progress or the next one; kept until it is over."""
        session = self._session
        if now_ns >= session.close_ns or now_ns < session.open_ns:
            session = self._session = self.calendar.at(now_ns)
        return session

    def is_open(self, now_ns: int) -> bool:
        """Tell whether a session is in progress and not yet within `flat_s` of its end."""
        session = self.session(now_ns)
        return session.open_ns <= now_ns < session.close_ns - self.flat_ns

    def time_left_s(self, now_ns: int) -> float:
        """Return the time until the position is to be flat; zero while closed."""
        session = self.session(now_ns)
        if now_ns < session.open_ns:
            return 0.0
        return max(0, session.close_ns - self.flat_ns - now_ns) / NS_PER_S


class NextFunding:
    """Time to the next funding of a perpetual: on a fixed grid until the venue announces it.

    Parameters
    ----------
    interval_s : float
        Seconds between fundings, counted from midnight UTC; 8 hours on most venues.

    """

    __slots__ = ("_announced_ns", "interval_ns", "rate")

    def __init__(self, interval_s: float = 28_800.0) -> None:
        check_positive("funding horizon", interval_s=interval_s)
        self.interval_ns = round(interval_s * NS_PER_S)
        self._announced_ns = 0
        self.rate = 0.0
        """Last announced rate: what a long position of value 1 pays at the next funding."""

    def announce(self, rate: float, next_funding_ns: int | None = None) -> None:
        """Take in a venue's announcement.

        Parameters
        ----------
        rate : float
            Share of the position's value that a long pays (a short receives).
        next_funding_ns : int, optional
            When, UNIX nanoseconds.

        """
        if not math.isfinite(rate):
            raise SpecError(f"the funding rate is {rate}", expected="a finite number")
        self.rate = rate
        self._announced_ns = next_funding_ns or 0

    def next_ns(self, now_ns: int) -> int:
        """Return the instant of the next funding, UNIX nanoseconds, after `now_ns`."""
        if self._announced_ns > now_ns:
            return self._announced_ns
        return (now_ns // self.interval_ns + 1) * self.interval_ns

    def time_left_s(self, now_ns: int) -> float:
        """Return the time to the next funding."""
        return (self.next_ns(now_ns) - now_ns) / NS_PER_S

    def shift(self, price: float, now_ns: int, holding_s: float) -> float:
        """Return by how much one unit is worth less to a holder, price units.

        What a long pays, weighted with exp(-time left / holding time): the chance that a position which dies away at
        that pace is still there at the funding.

        Parameters
        ----------
        price : float
            Price units.
        now_ns : int
            UNIX nanoseconds.
        holding_s : float
            Mean life of a position, seconds.

        """
        if self.rate == 0.0 or holding_s <= 0.0:
            return 0.0
        return self.rate * price * math.exp(-self.time_left_s(now_ns) / holding_s)
