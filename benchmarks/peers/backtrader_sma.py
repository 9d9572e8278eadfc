"""SMA cross on minute bars in backtrader, in an environment of its own: `backtrader_sma.py BARS.csv [memory]`."""

import json
import sys
import time
from pathlib import Path

import backtrader as bt
from bars_csv import read_bars

FAST, SLOW = 10, 50


class Rows(bt.feed.DataBase):
    """A feed from memory, so that reading the file is not part of the run."""

    params = (("rows", None),)

    def start(self) -> None:
        """Begin at the first bar."""
        super().start()
        self.source = iter(self.p.rows)

    def _load(self) -> bool:
        row = next(self.source, None)
        if row is None:
            return False
        at, first, high, low, last, volume = row
        lines = self.lines
        lines.datetime[0] = bt.date2num(at)
        lines.open[0], lines.high[0], lines.low[0], lines.close[0] = first, high, low, last
        lines.volume[0], lines.openinterest[0] = volume, 0.0
        return True


class SmaCross(bt.Strategy):
    """Long above, short below: a market order whenever the averages have crossed."""

    def __init__(self) -> None:
        self.fast = bt.indicators.SMA(self.data.close, period=FAST)
        self.slow = bt.indicators.SMA(self.data.close, period=SLOW)
        self.side = 0
        self.orders_sent = 0

    def next(self) -> None:
        """Turn the position around where the averages have crossed."""
        side = 1 if self.fast[0] > self.slow[0] else -1
        if side == self.side:
            return
        size = 1 if self.side == 0 else 2
        self.side = side
        self.orders_sent += 1
        if side > 0:
            self.buy(size=size)
        else:
            self.sell(size=size)


def feed_of(bars: Path, *, in_memory: bool) -> bt.feed.DataBase:
    """Return the bars as its standard CSV feed, or read beforehand."""
    if in_memory:
        return Rows(rows=read_bars(bars), timeframe=bt.TimeFrame.Minutes)
    columns = {"datetime": 0, "open": 1, "high": 2, "low": 3, "close": 4, "volume": 5, "openinterest": -1}
    return bt.feeds.GenericCSVData(
        dataname=str(bars), dtformat="%Y-%m-%d %H:%M:%S.%f", timeframe=bt.TimeFrame.Minutes, **columns
    )


def main(bars: Path, *, in_memory: bool) -> None:
    """Run once and print one JSON object."""
    feed = feed_of(bars, in_memory=in_memory)
    cerebro = bt.Cerebro()
    cerebro.adddata(feed)
    cerebro.addstrategy(SmaCross)
    cerebro.broker.setcash(1_000_000.0)
    started = time.process_time()
    strategy = cerebro.run()[0]
    ran = time.process_time() - started
    print(json.dumps({"orders": strategy.orders_sent, "value": cerebro.broker.getvalue(), "run_cpu_s": ran}))


if __name__ == "__main__":
    main(Path(sys.argv[1]), in_memory="memory" in sys.argv[2:])
