"""Checks that look at rows: order, silence, duplicates, impossible values, outliers."""

import heapq
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal
from typing import Final, Literal

import polars as pl

from ufos_nautilus.limits import CHECK_GAPS_KEPT_MAX, DEFECT_EXAMPLES_MAX
from ufos_nautilus.market.tables import timestamp

Severity = Literal["error", "warning", "info"]

CROSSED_SHARE_MAX: Final = 0.001
"""Share of crossed rows that consolidated quotes show when nothing is wrong; above it they are an error."""
GAP_MIN_NS: Final = 60 * 1_000_000_000
GAP_FACTOR: Final = 50
OUTLIER_WINDOW: Final = 101
OUTLIER_DEVIATIONS: Final = 15.0
OUTLIER_SHARE: Final = 0.01
JUMP_SHARE: Final = 0.25
DAY_NS: Final = 86_400 * 1_000_000_000
CLOSED_DAYS_MAX: Final = 5
"""Days from one daily bar to the next over a weekend with holidays at both ends."""
_ORDER: Final = {"error": 0, "warning": 1, "info": 2}


@dataclass(frozen=True, slots=True)
class Finding:
    """One kind of defect in one table.

    Parameters
    ----------
    code : str
        Stable name, see `quality.RULES`.
    severity : str
        ``"error"`` makes the data defective; ``"warning"`` asks for a look; ``"info"`` is a property worth knowing.
    count : int
        Rows (or events, or files) concerned.
    examples : tuple of str
        The first few places.

    """

    code: str
    severity: Severity
    count: int
    examples: tuple[str, ...] = ()


class Findings:
    """Counts by code, with the first few examples."""

    def __init__(self) -> None:
        self._found: dict[str, tuple[Severity, int, list[str]]] = {}

    def add(self, code: str, severity: Severity, count: int, examples: Iterable[str] = ()) -> None:
        """Count `count` more of `code`; nothing happens for 0."""
        if not count:
            return
        _, before, kept = self._found.get(code, (severity, 0, []))
        kept += [text for text, _ in zip(examples, range(DEFECT_EXAMPLES_MAX - len(kept)), strict=False)]
        self._found[code] = (severity, before + count, kept)

    def raise_severity(self, code: str, severity: Severity) -> None:
        """Set another severity for a code, where there are any of it."""
        if code in self._found:
            _, count, examples = self._found[code]
            self._found[code] = (severity, count, examples)

    def count(self, code: str) -> int:
        """Return how many there are of a code."""
        return self._found[code][1] if code in self._found else 0

    def sorted(self) -> list[Finding]:
        """Return the findings, gravest first."""
        found = [Finding(code, s, n, tuple(e)) for code, (s, n, e) in self._found.items()]
        return sorted(found, key=lambda f: (_ORDER[f.severity], f.code))


class RowCheck:
    """What every kind of table has: times. Subclasses add their own; chunks come in order."""

    def __init__(self) -> None:
        self.findings = Findings()
        self.rows = 0
        self._last_ns: int | None = None
        self._steps: Counter[int] = Counter()
        self._longest: list[tuple[int, int]] = []

    def feed(self, chunk: pl.DataFrame) -> None:
        """Check the next rows."""
        if chunk.height:
            self._times(chunk)
            self.look(chunk)
            self.rows += chunk.height

    def look(self, chunk: pl.DataFrame) -> None:
        """Check what is particular to a kind of table."""

    def finish(self) -> list[Finding]:
        """Return the findings after the last rows."""
        self._gaps()
        return self.findings.sorted()

    def flag(self, code: str, severity: Severity, chunk: pl.DataFrame, mask: pl.Series, *columns: str) -> None:
        """Count the rows where `mask` holds; examples give their time and the named columns."""
        bad = chunk.filter(mask)
        shown = (
            " ".join([timestamp(int(ns)), *(f"{c} {_text(row[c])}" for c in columns)])
            for row, ns in zip(
                bad.head(DEFECT_EXAMPLES_MAX).iter_rows(named=True), bad["ts_init"].to_physical(), strict=False
            )
        )
        self.findings.add(code, severity, bad.height, shown)

    def _times(self, chunk: pl.DataFrame) -> None:
        times = chunk["ts_init"].to_physical()
        first = times[0] if self._last_ns is None else self._last_ns
        before = times.shift(1, fill_value=first)
        self.flag("time_backwards", "error", chunk, times < before)
        self.flag("clock_shift", "error", chunk, chunk["ts_event"] > chunk["ts_init"], "ts_event")
        steps = pl.DataFrame({"ns": before, "step": times - before}).filter(pl.col("step") > 0)
        # Counted by their binary digits: percentiles to within a factor of two, in bounded memory.
        bits = steps.group_by(pl.col("step").log(2).floor().cast(pl.Int32)).len()
        self._steps.update(dict(bits.iter_rows()))
        for ns, step in steps.filter(pl.col("step") > GAP_MIN_NS).iter_rows():
            push = heapq.heappush if len(self._longest) < CHECK_GAPS_KEPT_MAX else heapq.heappushpop
            push(self._longest, (step, ns))
        self._last_ns = times[-1]

    def _gaps(self) -> None:
        threshold = max(GAP_MIN_NS, GAP_FACTOR * self._percentile(0.99))
        gaps = sorted((ns, step) for step, ns in self._longest if step > threshold)
        self.findings.add("gap", "warning", len(gaps), (f"{timestamp(ns)} + {step / 1e9:.1f} s" for ns, step in gaps))

    def _percentile(self, share: float) -> int:
        wanted, seen = share * self._steps.total(), 0
        for bits, count in sorted(self._steps.items()):
            seen += count
            if seen >= wanted:
                return 2 ** (bits + 1)
        return 0


def _text(value: object) -> str:
    if isinstance(value, Decimal):
        return format(value.normalize(), "f")
    return f"{value:.6g}" if isinstance(value, float) else str(value)


class OutlierCheck:
    """Compares each price with the median around it; keeps half a window of rows between chunks."""

    def __init__(self, owner: RowCheck) -> None:
        self._owner = owner
        self._kept: pl.DataFrame | None = None
        self._judged = 0

    def feed(self, chunk: pl.DataFrame, price: pl.Expr) -> None:
        """Take the next rows."""
        rows = chunk.select("ts_init", price.cast(pl.Float64).alias("price"))
        self._kept = rows if self._kept is None else pl.concat([self._kept, rows])
        self._judge(self._kept.height - OUTLIER_WINDOW // 2)

    def finish(self) -> None:
        """Judge the last rows."""
        if self._kept is not None:
            self._judge(self._kept.height)

    def _judge(self, end: int) -> None:
        if self._kept is None or end <= self._judged:
            return
        around = {"window_size": OUTLIER_WINDOW, "center": True, "min_samples": OUTLIER_WINDOW // 4}
        far = (
            self._kept.with_columns(pl.col("price").rolling_median(**around).alias("median"))
            .with_columns((pl.col("price") - pl.col("median")).abs().alias("distance"))
            .with_columns(pl.col("distance").rolling_median(**around).alias("deviation"))
            .select(
                (pl.col("distance") > OUTLIER_SHARE * pl.col("median").abs())
                & (pl.col("distance") > OUTLIER_DEVIATIONS * pl.col("deviation"))
            )
            .to_series()
            .fill_null(False)
        )
        self._owner.flag("outlier", "warning", self._kept[self._judged : end], far[self._judged : end], "price")
        keep = max(0, end - OUTLIER_WINDOW)
        self._kept, self._judged = self._kept[keep:], end - keep


class TradeCheck(RowCheck):
    """Trades."""

    def __init__(self) -> None:
        super().__init__()
        self._outliers = OutlierCheck(self)

    def look(self, chunk: pl.DataFrame) -> None:
        """Check prices, sizes and ids."""
        self.flag("non_positive", "error", chunk, (chunk["price"] <= 0) | (chunk["size"] <= 0), "price", "size")
        self.flag("duplicate", "error", chunk, ~chunk["trade_id"].is_first_distinct(), "trade_id")
        self._outliers.feed(chunk, pl.col("price"))

    def finish(self) -> list[Finding]:
        """Return the findings."""
        self._outliers.finish()
        return super().finish()


class QuoteCheck(RowCheck):
    """Best bids and asks."""

    def __init__(self) -> None:
        super().__init__()
        self._outliers = OutlierCheck(self)
        self._before: pl.DataFrame | None = None

    def look(self, chunk: pl.DataFrame) -> None:
        """Check both sides against each other."""
        bid, ask = chunk["bid_price"], chunk["ask_price"]
        has_bid, has_ask = chunk["bid_size"] > 0, chunk["ask_size"] > 0
        both = has_bid & has_ask
        self.flag("one_sided", "warning", chunk, has_bid != has_ask, "bid_price", "ask_price")
        self.flag("crossed", "warning", chunk, both & (bid > ask), "bid_price", "ask_price")
        self.flag("locked", "info", chunk, both & (bid == ask), "bid_price")
        self.flag("non_positive", "error", chunk, (has_bid & (bid <= 0)) | (has_ask & (ask <= 0)), "bid_price")
        joined = chunk if self._before is None else pl.concat([self._before, chunk])
        same = joined.select(pl.all_horizontal(pl.all() == pl.all().shift(1))).to_series().fill_null(False)
        self.flag("duplicate", "warning", joined, same, "bid_price", "ask_price")
        self._before = chunk.tail(1)
        self._outliers.feed(chunk.filter(both), (pl.col("bid_price") + pl.col("ask_price")) / 2)

    def finish(self) -> list[Finding]:
        """Return the findings."""
        self._outliers.finish()
        if self.findings.count("crossed") > CROSSED_SHARE_MAX * self.rows:
            self.findings.raise_severity("crossed", "error")
        return super().finish()


class BarCheck(RowCheck):
    """Bars."""

    def __init__(self) -> None:
        super().__init__()
        self._outliers = OutlierCheck(self)
        self._last: pl.DataFrame | None = None
        self._bar_steps: Counter[int] = Counter()

    def look(self, chunk: pl.DataFrame) -> None:
        """Check each bar in itself and against the one before."""
        row = chunk.select(
            low=pl.min_horizontal("open", "close") < pl.col("low"),
            high=pl.max_horizontal("open", "close") > pl.col("high"),
            non_positive=pl.min_horizontal("open", "high", "low", "close") <= 0,
        )
        self.flag("bad_bar", "error", chunk, row["low"] | row["high"], "open", "high", "low", "close")
        self.flag("non_positive", "error", chunk, row["non_positive"], "open", "high", "low", "close")
        self.flag("zero_volume", "warning", chunk, chunk["volume"] <= 0)
        joined = chunk if self._last is None else pl.concat([self._last, chunk])
        pair = joined.select(
            "ts_init",
            "close",
            step=pl.col("ts_init").to_physical().diff(),
            move=(pl.col("close").cast(pl.Float64) / pl.col("close").shift(1).cast(pl.Float64) - 1).abs(),
        )[0 if self._last is None else 1 :]
        self.flag("duplicate", "error", pair, (pair["step"] == 0).fill_null(False))
        self.flag("jump", "warning", pair, (pair["move"] > JUMP_SHARE).fill_null(False), "close", "move")
        self._bar_steps.update(dict(pair.filter(pl.col("step") > 0).group_by("step").len().iter_rows()))
        self._last = chunk.tail(1)
        self._outliers.feed(chunk, pl.col("close"))

    def finish(self) -> list[Finding]:
        """Return the findings."""
        self._outliers.finish()
        if self._bar_steps:
            # The commonest step, the shortest of equals, whatever order they were counted in.
            usual = min(self._bar_steps, key=lambda step: (-self._bar_steps[step], step))
            longest = usual if usual < DAY_NS else usual * CLOSED_DAYS_MAX
            missing = sum(count for step, count in self._bar_steps.items() if step > longest)
            self.findings.add("missing_bar", "warning", missing, [f"usual step {usual / 1e9:g} s"])
        return super().finish()
