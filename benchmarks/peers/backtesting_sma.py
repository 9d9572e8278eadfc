"""SMA cross on minute bars in backtesting.py, in an environment of its own: `python backtesting_sma.py BARS.csv`."""

import json
import sys
import time
import warnings
from pathlib import Path

import pandas as pd

warnings.filterwarnings("ignore")

from backtesting import Backtest, Strategy  # noqa: E402

FAST, SLOW = 10, 50


def sma(values: object, period: int) -> object:
    """Return the moving average of the last `period` values."""
    return pd.Series(values).rolling(period).mean()


class SmaCross(Strategy):
    """Long above, short below: a market order whenever the averages have crossed."""

    def init(self) -> None:
        """Prepare the averages, all at once."""
        self.fast = self.I(sma, self.data.Close, FAST)
        self.slow = self.I(sma, self.data.Close, SLOW)
        self.side = 0
        self.orders_sent = 0

    def next(self) -> None:
        """Turn the position around where the averages have crossed."""
        side = 1 if self.fast[-1] > self.slow[-1] else -1
        if side == self.side:
            return
        size = 1 if self.side == 0 else 2
        self.side = side
        self.orders_sent += 1
        if side > 0:
            self.buy(size=size)
        else:
            self.sell(size=size)


def main(bars: Path) -> None:
    """Run once and print one JSON object."""
    table = pd.read_csv(bars, parse_dates=["timestamp"], index_col="timestamp")
    table.columns = [name.capitalize() for name in table.columns]
    test = Backtest(table, SmaCross, cash=1_000_000, finalize_trades=True)
    started = time.process_time()
    result = test.run()
    ran = time.process_time() - started
    orders = result["_strategy"].orders_sent
    print(json.dumps({"orders": orders, "value": float(result["Equity Final [$]"]), "run_cpu_s": ran}))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
