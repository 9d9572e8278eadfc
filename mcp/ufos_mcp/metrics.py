"""Counts and times of calls, as text for Prometheus and as figures for a page."""

import bisect
import os
import time
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Final

BUCKETS_MS: Final = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1_000, 2_000, 5_000, 10_000, 60_000)
KEPT: Final = 1_000
"""Last durations per name from which percentiles are taken."""
Gauge = Callable[[], float]


class _Series:
    def __init__(self) -> None:
        self.outcomes: dict[str, int] = {}
        self.buckets = [0] * (len(BUCKETS_MS) + 1)
        self.total_ms = 0.0
        self.last: deque[float] = deque(maxlen=KEPT)


class Metrics:
    """Measures of one server process."""

    def __init__(self) -> None:
        self.started = time.monotonic()
        self._series: dict[str, _Series] = {}
        self.gauges: dict[str, Gauge] = {"ufos_mcp_resident_bytes": resident_bytes}

    def add(self, name: str, outcome: str, duration_ms: float) -> None:
        """Count one call of a tool or method."""
        series = self._series.setdefault(name, _Series())
        series.outcomes[outcome] = series.outcomes.get(outcome, 0) + 1
        series.buckets[bisect.bisect_left(BUCKETS_MS, duration_ms)] += 1
        series.total_ms += duration_ms
        series.last.append(duration_ms)

    def percentile(self, name: str, share: float) -> float | None:
        """Return a percentile of the last durations of a name in milliseconds; None before the first call."""
        series = self._series.get(name)
        if series is None or not series.last:
            return None
        ordered = sorted(series.last)
        return ordered[min(len(ordered) - 1, int(share * len(ordered)))]

    def calls(self) -> int:
        """Return how many calls there were in all."""
        return sum(sum(s.outcomes.values()) for s in self._series.values())

    def text(self) -> str:
        """Return everything in the text format of Prometheus."""
        lines = ["# TYPE ufos_mcp_calls_total counter"]
        for name, series in sorted(self._series.items()):
            for outcome, count in sorted(series.outcomes.items()):
                lines.append(f'ufos_mcp_calls_total{{name="{name}",outcome="{outcome}"}} {count}')
        lines.append("# TYPE ufos_mcp_call_milliseconds histogram")
        for name, series in sorted(self._series.items()):
            below = 0
            for bound, count in zip((*map(str, BUCKETS_MS), "+Inf"), series.buckets, strict=True):
                below += count
                lines.append(f'ufos_mcp_call_milliseconds_bucket{{name="{name}",le="{bound}"}} {below}')
            lines.append(f'ufos_mcp_call_milliseconds_sum{{name="{name}"}} {series.total_ms:.3f}')
            lines.append(f'ufos_mcp_call_milliseconds_count{{name="{name}"}} {below}')
        lines.append("# TYPE ufos_mcp_call_p95_milliseconds gauge")
        for name in sorted(self._series):
            lines.append(f'ufos_mcp_call_p95_milliseconds{{name="{name}"}} {self.percentile(name, 0.95):.3f}')
        for name, read in sorted({**self.gauges, "ufos_mcp_up_seconds": self.up_s}.items()):
            lines += [f"# TYPE {name} gauge", f"{name} {read():.0f}"]
        return "\n".join(lines) + "\n"

    def up_s(self) -> float:
        """Return how long the server has been up."""
        return time.monotonic() - self.started


def resident_bytes() -> float:
    """Return the memory of this process."""
    pages = int(Path("/proc/self/statm").read_text("ascii").split()[1])
    return float(pages * os.sysconf("SC_PAGE_SIZE"))
