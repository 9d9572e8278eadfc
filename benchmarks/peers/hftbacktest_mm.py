"""The desk's loop in hftbacktest, in an environment of its own.

``prepare RAW.gz OUT.npz`` converts a recording once. ``run DATA.npz PARAMS.json [again]`` replays it: weighted mid,
exponentially weighted variance, the closed form of GLFT, post-only orders that are moved by the tolerance or more at
most once an interval, order latency, queue position. With ``again`` it is replayed a second time, compiled by then, and
that time is the run's.
"""

import json
import math
import sys
import time
from pathlib import Path

import numpy as np
from hftbacktest import GTX, LIMIT, BacktestAsset, HashMapMarketDepthBacktest
from numba import njit

TICK, LOT = 0.1, 0.001
BID, ASK = 1, 2
END_OF_DATA = 1


@njit
def desk(hbt, model, counts):  # noqa: C901 (one compiled function, as its users write it)
    """Quote both sides until the data end; counts submits and cancels."""
    base, skew, decay, warmup_ns, interval_ns, size, bound, tolerance = model
    number = 2
    squares = times = sigma = 0.0
    last_ns, last_price, first_ns = 0, 0.0, 0
    resting, order_ids = np.zeros(3, np.int64), np.zeros(3, np.int64)
    while True:
        status = hbt.elapse(int(interval_ns))
        if status != 0:
            return status
        depth = hbt.depth(0)
        best_bid, best_ask = depth.best_bid_tick, depth.best_ask_tick
        weight = depth.best_bid_qty / (depth.best_bid_qty + depth.best_ask_qty)
        fair = best_bid + (best_ask - best_bid) * weight
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
        tilt, middle = position / size * skew * sigma, base + 0.5 * skew * sigma
        for side in (BID, ASK):
            if side == BID:
                wanted, room = min(math.floor(fair - middle - tilt), best_ask - 1), bound - position
            else:
                wanted, room = max(math.ceil(fair + middle - tilt), best_bid + 1), bound + position
            if order_ids[side] != 0 and order_ids[side] in orders:
                order = orders.get(order_ids[side])
                # a modification that meets a partial fill ends the run here, so a quote is moved by cancel and new
                moved = room < size - LOT / 2 or abs(wanted - resting[side]) >= tolerance
                if order.cancellable and moved:
                    hbt.cancel(0, order.order_id, False)
                    counts[1] += 1
            elif room > size - LOT / 2:
                number += 1
                counts[0] += 1
                order_ids[side], resting[side] = number, wanted
                if side == BID:
                    hbt.submit_buy_order(0, number, wanted * TICK, size, GTX, LIMIT, False)
                else:
                    hbt.submit_sell_order(0, number, wanted * TICK, size, GTX, LIMIT, False)


def prepare(raw: Path, out: Path) -> None:
    """Convert a recording to hftbacktest's own format."""
    from hftbacktest.data.utils import binancefutures

    binancefutures.convert(str(raw), output_filename=str(out), combined_stream=True, buffer_size=5_000_000)


def model_of(params: dict[str, float]) -> tuple[float, ...]:
    """Return the numbers the loop needs: depths in ticks by the closed form, times in nanoseconds."""
    gamma, k = params["gamma"], params["k_per_tick"]
    eta = params["a_per_s"] * (1.0 + gamma / k) ** -(1.0 + k / gamma)
    return (
        math.log(1.0 + gamma / k) / gamma,
        math.sqrt(gamma / (2.0 * k * eta)),
        -math.log(2.0) / params["volatility_half_life_s"],
        params["warmup_s"] * 1e9,
        params["minimum_interval_ms"] * 1e6,
        params["order_size"],
        params["max_inventory"],
        float(params["tolerance_ticks"]),
    )


def run(data: Path, params: dict[str, float], *, again: bool) -> None:
    """Run and print one JSON object."""
    events = np.load(data)["data"]
    asset = (
        BacktestAsset()
        .data([events])
        .linear_asset(1.0)
        .constant_order_latency(round(params["latency_ms"] * 1e6), 0)
        .power_prob_queue_model(2.0)
        .partial_fill_exchange()
        .trading_value_fee_model(params["maker_rate"], params["taker_rate"])
        .tick_size(TICK)
        .lot_size(LOT)
    )
    for _ in range(2 if again else 1):
        hbt, counts = HashMapMarketDepthBacktest([asset]), np.zeros(2, np.int64)
        started = time.process_time()
        if desk(hbt, model_of(params), counts) != END_OF_DATA:
            raise SystemExit("the run ended before its data")
        ran = time.process_time() - started
        state = hbt.state_values(0)
        fills, position = int(state.num_trades), state.position
        hbt.close()
    out = {"submits": int(counts[0]), "cancels": int(counts[1]), "fills": fills, "position": position}
    print(json.dumps(out | {"rows": len(events), "run_cpu_s": ran}))


if __name__ == "__main__":
    if sys.argv[1] == "prepare":
        prepare(Path(sys.argv[2]), Path(sys.argv[3]))
    else:
        run(Path(sys.argv[2]), json.loads(sys.argv[3]), again="again" in sys.argv[4:])
