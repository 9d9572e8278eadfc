"""Judges every fill against the host's own market data: price, size and cause at the instant it is said to have.

A fill that takes must find its price on the other side of the market, before or at that instant. A fill that rests
must be reached at that very instant, by a trade or by the other side of the market.
"""

from typing import Any

import polars as pl

from ufos_sandbox.findings import Findings
from ufos_sandbox.messages import Fill
from ufos_sandbox.slices import Slice

DEC = pl.Decimal(38, 16)
SLIP_TICKS = 2
"""A market order larger than the displayed size, or an unlucky one, may pay this many ticks more."""
QUEUE = "maker fills whose place in the queue can't be known"
BAR_PRICE = "fills whose price lies somewhere within a bar"
WORSE = "fills at a price worse than the displayed one"


def audit_market(fills: list[Fill], part: Slice, spec: dict[str, Any], findings: Findings) -> None:
    """Look up every fill in the slice.

    Parameters
    ----------
    fills : list of Fill
        In the order in which they are reported.
    part : Slice
        The market data.
    spec : dict
        Says what the venues are like.
    findings : Findings
        Gets evidence, and what could not be judged.

    """
    venues = {v["name"]: v for v in spec["venues"]}
    for name, instrument in part.instruments.items():
        own = [f for f in fills if f.instrument_id == name]
        if not own:
            continue
        market = Market(part, name, venues[instrument.venue])
        frame = _fill_frame(own, float(instrument.tick_size))
        _judge(frame.filter(pl.col("liquidity") == "TAKER"), market.taker, market, findings)
        _judge(frame.filter(pl.col("liquidity") == "MAKER"), market.maker, market, findings)


def _judge(frame: pl.DataFrame, rule: Any, market: "Market", findings: Findings) -> None:
    """Apply a rule, which adds the columns `problem` and `open`, both text or null."""
    if frame.is_empty():
        return
    judged = rule(frame)
    for row in judged.filter(pl.col("problem").is_not_null()).sort("n").iter_rows(named=True):
        findings.against(
            f"fill {row['trade_id']}: {row['side']} {row['quantity'].normalize():f} {market.name} at "
            f"{row['price'].normalize():f}, {row['liquidity'].lower()}, time {row['ts']}: {row['problem']}"
        )
    counted = judged.filter(pl.col("problem").is_null() & pl.col("open").is_not_null()).group_by("open").len()
    for what, count in counted.sort("open").iter_rows():
        findings.unclear(what, count)


class Market:
    """One instrument's market data in the shapes that the rules need."""

    def __init__(self, part: Slice, name: str, venue: dict[str, Any]) -> None:
        self.part, self.name, self.venue = part, name, venue
        self.deep = venue["book"] != "L1" and bool(part.identifiers("order_book_deltas", name))
        self.quotes = self._table("quotes")
        self.trades = self._table("trades")
        self.deltas = self._table("order_book_deltas")
        self.bars = pl.concat([self._bars(i) for i in part.identifiers("bars", name)] or [pl.DataFrame()])

    def _table(self, kind: str) -> pl.DataFrame | None:
        found = self.part.identifiers(kind, self.name)
        if not found:
            return None
        return self.part.frame(kind, found[0]).with_columns(pl.col("ts_init").dt.epoch("ns").alias("ts"))

    def _bars(self, identifier: str) -> pl.DataFrame:
        frame = self.part.frame("bars", identifier)
        return frame.select(pl.col("ts_init").dt.epoch("ns").alias("ts"), "low", "high", "close")

    # fills that take

    def taker(self, fills: pl.DataFrame) -> pl.DataFrame:
        """Judge fills that take what others offer."""
        if self.deep:
            return self._taker_deep(fills)
        tops = self._tops()
        if tops is not None:
            return self._taker_top(fills, tops)
        return self._by_bars(fills)

    def _tops(self) -> pl.DataFrame | None:
        """Return every state of the top of the book: quotes, and trades where the venue's book is made of them too."""
        parts = []
        if self.quotes is not None:
            parts.append(self.quotes.select("ts", "bid_price", "ask_price", "bid_size", "ask_size"))
        if self.trades is not None:
            price, size = pl.col("price"), pl.col("size")
            parts.append(
                self.trades.select(
                    "ts",
                    price.alias("bid_price"),
                    price.alias("ask_price"),
                    size.alias("bid_size"),
                    size.alias("ask_size"),
                )
            )
        if not parts:
            return None
        tops = pl.concat(parts)
        # One table is in order already, and looking costs a hundredth of sorting.
        return tops if tops["ts"].is_sorted() else tops.sort("ts", maintain_order=True)

    def _taker_top(self, fills: pl.DataFrame, tops: pl.DataFrame) -> pl.DataFrame:
        seen = _states_at(fills, tops)
        buy = pl.col("side") == "BUY"
        offered = pl.when(buy).then("ask_price").otherwise("bid_price")
        size = pl.when(buy).then("ask_size").otherwise("bid_size")
        worse_by = pl.when(buy).then(pl.col("price") - offered).otherwise(offered - pl.col("price"))
        best = (
            seen.with_columns(worse_by.cast(pl.Float64).alias("worse"), size.cast(pl.Float64).alias("size"))
            .group_by("n")
            .agg(
                pl.col("worse").max().alias("least"),
                pl.col("worse").filter(pl.col("worse") >= -1e-12).min().alias("nearest"),
                pl.col("size").filter(pl.col("worse").abs() < 1e-12).max().alias("at_price"),
                offered.first().alias("offered"),
            )
        )
        taken = fills.group_by("ts", "side", "price").agg(pl.col("quantity").sum().cast(pl.Float64).alias("taken"))
        joined = fills.join(best, on="n", how="left").join(taken, on=["ts", "side", "price"], how="left")
        problem = (
            pl.when(pl.col("least").is_null())
            .then(pl.lit("there was no market yet"))
            .when(pl.col("nearest").is_null())
            .then(pl.format("better than the market, which offered {}", pl.col("offered").cast(pl.String)))
            .when(pl.col("nearest") > SLIP_TICKS * pl.col("tick") * (1 + 1e-9))
            .then(pl.format("far from the market, which offered {}", pl.col("offered").cast(pl.String)))
            .when((pl.col("nearest") < 1e-12) & (pl.col("taken") > pl.col("at_price")))
            .then(pl.format("only {} were offered there", pl.col("at_price")))
        )
        return joined.with_columns(
            problem.alias("problem"), pl.when(pl.col("nearest") > 1e-12).then(pl.lit(WORSE)).alias("open")
        ).with_columns(pl.when(self._explained()).then(None).otherwise("open").alias("open"))

    def _explained(self) -> pl.Expr:
        """Tell where a tick worse than displayed is what a larger order pays for its rest, or slippage of the venue."""
        slips = self.venue["fill"]["prob_slippage"] > 0
        tick = pl.col("nearest") <= pl.col("tick") * (1 + 1e-9)
        return tick & (pl.col("rest_of_order") | pl.lit(slips))

    def _taker_deep(self, fills: pl.DataFrame) -> pl.DataFrame:
        levels = self._levels()
        other = pl.when(pl.col("side") == "BUY").then(pl.lit("SELL")).otherwise(pl.lit("BUY"))
        wanted = fills.with_columns(other.alias("book_side"))
        before = (
            wanted.with_columns((pl.col("ts") - 1).alias("ts"))
            .sort("ts")
            .join_asof(
                levels, on="ts", by_left=["book_side", "price"], by_right=["book_side", "price"], check_sortedness=False
            )
            .select("n", pl.col("level_size").alias("before"), pl.col("level_ts").alias("before_ts"))
        )
        at = (
            wanted.select("n", "ts", "book_side", "price")
            .join(levels, on=["ts", "book_side", "price"], how="inner")
            .group_by("n")
            .agg(pl.col("level_size").max().alias("at"))
        )
        cleared = self._cleared(wanted)
        taken = fills.group_by("ts", "side", "price").agg(pl.col("quantity").sum().alias("taken"))
        joined = (
            wanted.join(before, on="n", how="left")
            .join(at, on="n", how="left")
            .join(cleared, on="n", how="left")
            .join(taken, on=["ts", "side", "price"], how="left")
            .with_columns(
                pl.when(pl.col("before_ts") >= pl.col("cleared_ts")).then("before").otherwise(0).alias("before")
            )
            .with_columns(pl.max_horizontal(pl.col("before").fill_null(0), pl.col("at").fill_null(0)).alias("there"))
        )
        problem = (
            pl.when(pl.col("there") == 0)
            .then(pl.lit("the book had nothing at that price"))
            .when(pl.col("taken") > pl.col("there"))
            .then(pl.format("the book had only {} at that price", pl.col("there").cast(pl.String)))
        )
        return joined.with_columns(problem.alias("problem"), pl.lit(None, pl.String).alias("open"))

    def _levels(self) -> pl.DataFrame:
        """Return the size of a book level after each change of it."""
        deltas = self.deltas if self.deltas is not None else pl.DataFrame()
        gone = pl.col("action") == "DELETE"
        return (
            deltas.filter(pl.col("action") != "CLEAR")
            .select(
                "ts",
                pl.col("side").alias("book_side"),
                "price",
                pl.when(gone).then(pl.lit(0, DEC)).otherwise(pl.col("size")).alias("level_size"),
                pl.col("ts").alias("level_ts"),
            )
            .sort("ts", maintain_order=True)
        )

    def _cleared(self, wanted: pl.DataFrame) -> pl.DataFrame:
        """Return when the book was last emptied before each fill; 0 where it never was."""
        if self.deltas is None:
            return wanted.select("n", pl.lit(0, pl.Int64).alias("cleared_ts"))
        clears = (
            self.deltas.filter(pl.col("action") == "CLEAR").select("ts", pl.col("ts").alias("cleared_ts")).sort("ts")
        )
        joined = wanted.select("n", pl.col("ts") - 1).sort("ts").join_asof(clears, on="ts")
        return joined.select("n", pl.col("cleared_ts").fill_null(0))

    def _by_bars(self, fills: pl.DataFrame) -> pl.DataFrame:
        if self.bars.is_empty():
            return fills.with_columns(
                pl.lit("there is no market data to judge it by").alias("problem"), pl.lit(None, pl.String).alias("open")
            )
        bars = self.bars.sort("ts")
        slack = pl.col("tick").cast(DEC) * SLIP_TICKS
        last = (
            fills.sort("ts")
            .join_asof(bars, on="ts")
            .with_columns(
                pl.min_horizontal("low", "close").alias("low"), pl.max_horizontal("high", "close").alias("high")
            )
        )
        outside = (pl.col("price") < pl.col("low") - slack) | (pl.col("price") > pl.col("high") + slack)
        problem = (
            pl.when(pl.col("low").is_null())
            .then(pl.lit("there was no market yet"))
            .when(outside)
            .then(
                pl.format(
                    "outside the bar from {} to {}", pl.col("low").cast(pl.String), pl.col("high").cast(pl.String)
                )
            )
        )
        return last.with_columns(problem.alias("problem"), pl.lit(BAR_PRICE).alias("open"))

    # fills that rest

    def maker(self, fills: pl.DataFrame) -> pl.DataFrame:
        """Judge fills of resting orders: something must have reached their price at that instant."""
        if not self.deep and self.quotes is None and self.trades is None:
            return self._by_bars(fills)
        traded = self._traded(fills)
        crossed = self._crossed(fills)
        need = fills.group_by("ts", "side").agg(pl.col("quantity").sum().alias("need"))
        joined = (
            fills.join(traded, on="n", how="left")
            .join(crossed, on="n", how="left")
            .join(need, on=["ts", "side"], how="left")
        )
        through, at = pl.col("through").fill_null(0), pl.col("touching").fill_null(0)
        by_book = pl.col("reached").fill_null(False)
        problem = (
            pl.when(~by_book & (through + at == 0))
            .then(pl.lit("nothing in the market reached that price at that time"))
            .when(~by_book & (pl.col("need") > through + at))
            .then(pl.format("only {} traded there", (through + at).cast(pl.String)))
        )
        queued = ~by_book & (pl.col("need") > through) & pl.lit(bool(self.venue["queue_position"]))
        return joined.with_columns(problem.alias("problem"), pl.when(queued).then(pl.lit(QUEUE)).alias("open"))

    def _traded(self, fills: pl.DataFrame) -> pl.DataFrame:
        """Return what traded through and at the price of each fill, at its instant."""
        if self.trades is None or not self.venue["trade_execution"]:
            return fills.select("n", pl.lit(None, DEC).alias("through"), pl.lit(None, DEC).alias("touching"))
        prints = self.trades.select("ts", pl.col("price").alias("print"), "size")
        both = fills.select("n", "ts", "side", "price").join(prints, on="ts", how="inner")
        beyond = (
            pl.when(pl.col("side") == "BUY")
            .then(pl.col("print") < pl.col("price"))
            .otherwise(pl.col("print") > pl.col("price"))
        )
        return both.group_by("n").agg(
            pl.col("size").filter(beyond).sum().alias("through"),
            pl.col("size").filter(pl.col("print") == pl.col("price")).sum().alias("touching"),
        )

    def _crossed(self, fills: pl.DataFrame) -> pl.DataFrame:
        """Tell whether the other side of the market came to the price of each fill at its instant."""
        asks = self._other_side()
        if asks is None:
            return fills.select("n", pl.lit(None, pl.Boolean).alias("reached"))
        other = pl.when(pl.col("side") == "BUY").then(pl.lit("SELL")).otherwise(pl.lit("BUY"))
        both = fills.select("n", "ts", "side", "price", other.alias("book_side")).join(
            asks, on=["ts", "book_side"], how="inner"
        )
        came = (
            pl.when(pl.col("side") == "BUY")
            .then(pl.col("level") <= pl.col("price"))
            .otherwise(pl.col("level") >= pl.col("price"))
        )
        return both.group_by("n").agg(came.any().alias("reached"))

    def _other_side(self) -> pl.DataFrame | None:
        if self.deep:
            levels = self._levels()
            return (
                None
                if levels is None
                else levels.filter(pl.col("level_size") > 0).select("ts", "book_side", pl.col("price").alias("level"))
            )
        if self.quotes is None:
            return None
        sides = (("SELL", "ask_price"), ("BUY", "bid_price"))
        return pl.concat(
            [self.quotes.select("ts", pl.lit(s).alias("book_side"), pl.col(c).alias("level")) for s, c in sides]
        )


def _fill_frame(fills: list[Fill], tick: float) -> pl.DataFrame:
    first: dict[str, int] = {}
    rest = []
    for n, fill in enumerate(fills):
        rest.append(fill.client_order_id in first)
        first.setdefault(fill.client_order_id, n)
    return pl.DataFrame(
        {
            "n": range(len(fills)),
            "ts": pl.Series([f.ts for f in fills], dtype=pl.Int64),
            "trade_id": [f.trade_id for f in fills],
            "side": [f.side for f in fills],
            "liquidity": [f.liquidity for f in fills],
            "price": pl.Series([f.price for f in fills], dtype=pl.String).cast(DEC),
            "quantity": pl.Series([f.quantity for f in fills], dtype=pl.String).cast(DEC),
            "rest_of_order": rest,
        }
    ).with_columns(pl.lit(tick).alias("tick"))


def _states_at(fills: pl.DataFrame, tops: pl.DataFrame) -> pl.DataFrame:
    """Return, for each fill, the state just before its instant and every state at it."""
    before = (
        fills.with_columns((pl.col("ts") - 1).alias("ts")).sort("ts").join_asof(tops, on="ts").drop_nulls("ask_price")
    )
    at = fills.join(tops, on="ts", how="inner")
    return pl.concat([before, at.select(before.columns)])
