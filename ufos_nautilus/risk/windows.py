"""Sliding windows over time: how many in a second, what share of the last, how far below the highest."""

from collections import deque

from ufos_nautilus.errors import LimitExceededError
from ufos_nautilus.limits import RISK_WINDOW_SAMPLES_MAX


class RateWindow:
    """Times of the last `size` events; tells whether one more keeps within `size` per span.

    Parameters
    ----------
    size : int
        Events allowed in any span.
    span_ns : int
        Length of the span, nanoseconds.

    Attributes
    ----------
    at, next : list of int, int
        Times of events, and the place of the oldest, which gives way to the next.

    """

    __slots__ = ("at", "next", "size", "span_ns")

    def __init__(self, size: int, span_ns: int = 1_000_000_000) -> None:
        self.size, self.span_ns = size, span_ns
        self.at = [-span_ns] * size
        self.next = 0

    @classmethod
    def of(cls, window: "RateWindow | None", size: int) -> "RateWindow":
        """Return `window` if it has this size, else one of this size that remembers the same events."""
        if window is not None and window.size == size:
            return window
        made = cls(size)
        for at in window.times() if window is not None else ():
            made.add(at)
        return made

    def times(self) -> list[int]:
        """Return the times it remembers, oldest first."""
        return self.at[self.next :] + self.at[: self.next]

    def full(self, now_ns: int) -> bool:
        """Tell whether one more event now would be one too many."""
        return now_ns - self.at[self.next] < self.span_ns

    def add(self, now_ns: int) -> None:
        """Count an event."""
        self.at[self.next] = now_ns
        self.next = (self.next + 1) % self.size


class ShareWindow:
    """Share of marked events among the last `size`.

    Parameters
    ----------
    size : int
        Events looked back on; the share counts once that many are known.

    """

    __slots__ = ("_events", "marked", "size")

    def __init__(self, size: int) -> None:
        self.size = size
        self.marked = 0
        self._events: deque[bool] = deque(maxlen=size)

    def add(self, marked: bool) -> None:
        """Count an event."""
        if len(self._events) == self.size:
            self.marked -= self._events[0]
        self._events.append(marked)
        self.marked += marked

    @property
    def ppm(self) -> int:
        """Return the share in millionths; 0 until the window is full."""
        return self.marked * 1_000_000 // self.size if len(self._events) == self.size else 0


class FallWindow:
    """Fall of a value below its highest within a span of time.

    Parameters
    ----------
    span_ns : int
        Length of the span, nanoseconds.

    """

    def __init__(self, span_ns: int) -> None:
        self.span_ns = span_ns
        self._highs: deque[tuple[int, int]] = deque()

    def add(self, now_ns: int, value: int) -> int:
        """Take a value and return how far it lies below the highest of the span, never negative.

        Raises
        ------
        LimitExceededError
            If the span holds too many samples.

        """
        highs = self._highs
        while highs and now_ns - highs[0][0] > self.span_ns:
            highs.popleft()
        while highs and highs[-1][1] <= value:
            highs.pop()
        if len(highs) >= RISK_WINDOW_SAMPLES_MAX:
            raise LimitExceededError(f"a window of {len(highs)} samples", expected="a shorter span or rarer samples")
        highs.append((now_ns, value))
        return highs[0][1] - value

    @property
    def high(self) -> int:
        """Return the highest value of the span as of the last sample; 0 before any."""
        return self._highs[0][1] if self._highs else 0
