"""The desk's loop in hftbacktest, in an environment of its own: `python hftbacktest_mm.py prepare|run ...`.

`prepare RAW.gz OUT.npz` converts a recording once; `run DATA.npz PARAMS.json` replays it: weighted mid, exponentially
weighted variance, the closed form of GLFT, post-only orders moved by 3 ticks or more at most every 100 ms, order
latency, queue position.
"""

import json
import math
import sys
import time
from pathlib import Path

TICK, LOT = 0.1, 0.001
BID, ASK = 1, 2
END_OF_DATA = 1


def prepare(raw: Path, out: Path) -> None:
    """Convert a recording to hftbacktest's own format."""
    from hftbacktest.data.utils import binancefutures

    binancefutures.convert(str(raw), output_filename=str(out), combined_stream=True, buffer_size=5_000_000)


def run(data: Path, params: dict[str, float]) -> None:
    """Run once and print one JSON object."""
    import numpy as np
    from hftbacktest import GTX, LIMIT, BacktestAsset, HashMapMarketDepthBacktest
    from numba import njit

    gamma, k, a = params["gamma"], params["k_per_tick"], params["a_per_s"]
    base = math.log(1.0 + gamma / k) / gamma
    eta = a * (1.0 + gamma / k) ** -(1.0 + k / gamma)
    skew_per_sigma = math.sqrt(gamma / (2.0 * k * eta))
    size, bound = params["order_size"], params["max_inventory"]
    tolerance, interval_ns = params["tolerance_ticks"], round(params["minimum_interval_ms"] * 1e6)
    decay, warmup_ns = -math.log(2.0) / params["volatility_half_life_s"], params["warmup_s"] * 1e9

    @njit
    def loop(hbt, counts):
        number = 2
        squares = times = sigma = 0.0
        last_ns, last_price, first_ns = 0, 0.0, 0
        resting = np.zeros(3, np.int64)
        order_ids = np.zeros(3, np.int64)
        status = 0
        while True:
            status = hbt.elapse(interval_ns)
            if status != 0:
                break
            depth = hbt.depth(0)
            bid_qty, ask_qty = depth.best_bid_qty, depth.best_ask_qty
            weight = bid_qty / (bid_qty + ask_qty)
            fair = depth.best_bid_tick + (depth.best_ask_tick - depth.best_bid_tick) * weight
            now = hbt.current_timestamp
            if first_ns == 0:
                first_ns, last_ns, last_price = now, now, fair
            elapsed = (now - last_ns) * 1e-9
            if elapsed >= 1.0:
                move, fade = fair - last_price, math.exp(decay * elapsed)
                squares, times = squares * fade + move * move, times * fade + elapsed
                last_ns, last_price, sigma = now, fair, math.sqrt(squares / times)
            if now - first_ns < warmup_ns:
                continue
            hbt.clear_inactive_orders(0)
            position, orders = hbt.position(0), hbt.orders(0)
            tilt, middle = position / size * skew_per_sigma * sigma, base + 0.5 * skew_per_sigma * sigma
            wanted_bid = min(math.floor(fair - middle - tilt), depth.best_ask_tick - 1)
            wanted_ask = max(math.ceil(fair + middle - tilt), depth.best_bid_tick + 1)
            for side in (BID, ASK):
                wanted = wanted_bid if side == BID else wanted_ask
                room = bound - position if side == BID else bound + position
                if order_ids[side] != 0 and order_ids[side] in orders:
                    order = orders.get(order_ids[side])
                    if not order.cancellable:
                        continue
                    # a modification that meets a partial fill ends the run here, so a quote is moved by cancel and new
                    if room < size - LOT / 2 or abs(wanted - resting[side]) >= tolerance:
                        hbt.cancel(0, order.order_id, False)
                        counts[1] += 1
                elif room > size - LOT / 2:
                    number += 1
                    order_ids[side], resting[side] = number, wanted
                    if side == BID:
                        hbt.submit_buy_order(0, number, wanted * TICK, size, GTX, LIMIT, False)
                    else:
                        hbt.submit_sell_order(0, number, wanted * TICK, size, GTX, LIMIT, False)
                    counts[0] += 1
        return status

    events = np.load(data)["data"]
    asset = (
        BacktestAsset()
        .data([events])
        .linear_asset(1.0)
        .constant_order_latency(3_000_000, 0)
        .power_prob_queue_model(2.0)
        .partial_fill_exchange()
        .trading_value_fee_model(params["maker_rate"], params["taker_rate"])
        .tick_size(TICK)
        .lot_size(LOT)
    )
    counts = np.zeros(2, np.int64)
    hbt = HashMapMarketDepthBacktest([asset])
    if loop(hbt, counts) != END_OF_DATA:
        raise SystemExit("the run ended before its data")
    state = hbt.state_values(0)
    fills, fee, balance, position = int(state.num_trades), state.fee, state.balance, state.position
    hbt.close()
    # a second backtest in the same process runs compiled: its time is what the engine and the strategy cost
    again = HashMapMarketDepthBacktest([asset])
    started = time.process_time()
    loop(again, np.zeros(2, np.int64))
    ran = time.process_time() - started
    again.close()
    result = {"submits": int(counts[0]), "cancels": int(counts[1]), "fills": fills, "rows": len(events)}
    print(json.dumps(result | {"fee": fee, "balance": balance, "position": position, "run_cpu_s": ran}))


if __name__ == "__main__":
    if sys.argv[1] == "prepare":
        prepare(Path(sys.argv[2]), Path(sys.argv[3]))
    else:
        run(Path(sys.argv[2]), json.loads(sys.argv[3]))
