"""Risk: time of the gate per order, with 1,000 instruments and 100 books, and of the restriction look-up both ways."""

import argparse
import hashlib
import json
import random
import statistics
import tempfile
import time
from array import array
from collections import deque
from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

from nautilus_trader.backtest import BacktestEngine, BacktestEngineConfig
from nautilus_trader.common import LoggerConfig
from nautilus_trader.core import UUID4
from nautilus_trader.execution import MakerTakerFeeModel
from nautilus_trader.model import (
    AccountType,
    ClientOrderId,
    Currency,
    InstrumentId,
    LimitOrder,
    Money,
    OmsType,
    OrderSide,
    Price,
    Quantity,
    QuoteTick,
    StrategyId,
    TimeInForce,
    TraderId,
    Venue,
)

from ufos_nautilus.engine.gate import GateRequest
from ufos_nautilus.engine.instruments import to_engine
from ufos_nautilus.engine.risk_audit import RiskAudit
from ufos_nautilus.engine.risk_gate import RiskGate
from ufos_nautilus.engine.risk_setup import make_firm
from ufos_nautilus.market.instruments import InstrumentSpec
from ufos_nautilus.risk.compiled import Limits
from ufos_nautilus.risk.fixed import SCALE
from ufos_nautilus.risk.halt_flag import HaltFlag
from ufos_nautilus.risk.levels import Account
from ufos_nautilus.risk.rules_file import parse_rules

OPEN = 2_000
"""Orders open at a time."""
PIECE = 250
"""Orders averaged for the best figure: what else runs on the machine only ever adds, and a piece is short enough to
fall between it."""
NOW_NS = 1_700_000_000_000_000_000
RULES: dict[str, Any] = {
    "currency": "USD",
    "firm": {
        "max_net_notional": "1000000000 USD",
        "max_gross_notional": "10000000000 USD",
        "max_order_notional": "1000000 USD",
        "max_margin_use_pct": "90",
        "max_account_age_s": 600.0,
        "max_price_age_s": 600.0,
        "max_orders_per_s": 50_000,
        "max_daily_loss": "1000000 USD",
        "max_drawdown_pct": "20",
        "universe": ["*.XNAS"],
    },
    "kinds": {"strategy": {"max_leverage": "10", "max_concentration_pct": "50", "max_net_notional": "500000000 USD"}},
}


def instrument(number: int) -> InstrumentSpec:
    """Return one of many equal shares."""
    name = f"S{number:04d}"
    return InstrumentSpec(
        instrument_id=f"{name}.XNAS", kind="equity", base=name, quote="USD", settlement="USD",
        tick_size=Decimal("0.01"), lot_size=Decimal(1), price_precision=2, size_precision=0,
    )  # fmt: skip


def filled_engine(specs: list[InstrumentSpec]) -> BacktestEngine:
    """Return an engine whose cache holds one quote of each instrument."""
    engine = BacktestEngine(BacktestEngineConfig(bypass_logging=True, logging=LoggerConfig(bypass_logging=True)))
    usd = Currency.from_str("USD")
    engine.add_venue(
        Venue("XNAS"), OmsType.NETTING, AccountType.MARGIN, [Money(1e12, usd)], base_currency=usd,
        fee_model=MakerTakerFeeModel(Decimal(0), Decimal(0)),
    )  # fmt: skip
    one = Quantity.from_str("100")
    quotes = []
    for spec in specs:
        engine.add_instrument(to_engine(spec))
        name = InstrumentId.from_str(spec.instrument_id)
        quotes.append(QuoteTick(name, Price.from_str("100.00"), Price.from_str("100.02"), one, one, NOW_NS, NOW_NS))
    engine.add_data(quotes)
    engine.run()
    return engine


def make_gate(engine: BacktestEngine, specs: list[InstrumentSpec], books: int, audit: RiskAudit) -> RiskGate:
    """Return a gate over many books, each with positions."""
    kinds = {f"AM-{n:03d}": "strategy" for n in range(books)}
    rules = RULES | {"instruments": {s.instrument_id: {"max_position": "100000"} for s in specs}}
    limits = Limits(parse_rules(rules))
    firm = make_firm(limits, kinds, {b: [("XNAS", "USD", Decimal(10_000_000))] for b in kinds}, specs)
    firm.set_account("XNAS", Account(cash=False, funds={"USD": 10**12 * SCALE}, leverage=10 * SCALE, seen_ns=NOW_NS))
    gate = RiskGate(firm, limits, HaltFlag(), audit)
    gate.attach(engine.cache, lambda: NOW_NS)
    return gate


def requests(gate: RiskGate, specs: list[InstrumentSpec], count: int, round_: int, own: int) -> Iterator[GateRequest]:
    """Yield limit orders of random books in random instruments, `own` of which a book trades, made as asked for."""
    rng, books = random.Random(1), list(gate.firm.books)
    ids = [InstrumentId.from_str(s.instrument_id) for s in specs]
    prices, sizes = [Price.from_str("99.99"), Price.from_str("100.03")], [Quantity.from_str(str(n)) for n in (1, 5, 20)]
    for number in range(count):
        which = rng.randrange(len(books))
        book, name = books[which], ids[(which * own + rng.randrange(own)) % len(ids)]
        side = OrderSide.BUY if rng.random() < 0.5 else OrderSide.SELL
        order = LimitOrder(
            TraderId("T-1"), StrategyId(book), name,
            ClientOrderId(f"O-{round_}-{number}"), side,
            sizes[number % 3], prices[number % 2], TimeInForce.GTC, False, False, False, UUID4(), NOW_NS,
        )  # fmt: skip
        yield GateRequest(book, "submit", order, None, None, None, NOW_NS + (round_ * count + number) * 1_000_000)


def time_gate(gate: RiskGate, specs: list[InstrumentSpec], count: int, round_: int, own: int) -> dict[str, float]:
    """Review orders one by one, each new as a book's would be, with up to `OPEN` of them open; return microseconds.

    Every place is met once before, as it would be after a minute of trading.
    """
    for request in requests(gate, specs, count if not round_ else 0, 0, own):
        gate.review(request)
        gate.release(request)
    taken, opened = array("q"), deque[GateRequest]()
    clock = time.perf_counter_ns
    nothing = min(-(clock() - clock()) for _ in range(1_000))
    for request in requests(gate, specs, count, round_ + 1, own):
        before = clock()
        reason = gate.review(request)
        taken.append(clock() - before - nothing)
        if reason is not None:
            raise SystemExit(f"denied: {reason}")
        opened.append(request)
        if len(opened) > OPEN:
            gate.release(opened.popleft())
    cuts = statistics.quantiles(taken, n=100)
    pieces = [statistics.fmean(taken[at : at + PIECE]) for at in range(0, len(taken) - PIECE + 1, PIECE)]
    return {
        "best_us": min(pieces) / 1e3,
        "median_us": cuts[49] / 1e3,
        "mean_us": statistics.fmean(taken) / 1e3,
        "p99_us": cuts[98] / 1e3,
    }


class Bloom:
    """A Bloom filter with k hashes cut from one digest, as a prefilter in front of the exact set would be."""

    def __init__(self, names: list[str], bits: int, hashes: int) -> None:
        self.bits, self.hashes, self.field = bits, hashes, bytearray(bits // 8 + 1)
        for name in names:
            for at in self._places(name):
                self.field[at >> 3] |= 1 << (at & 7)

    def _places(self, name: str) -> list[int]:
        digest = int.from_bytes(hashlib.blake2b(name.encode(), digest_size=16).digest(), "little")
        step = digest >> 64
        return [(digest + i * step) % self.bits for i in range(self.hashes)]

    def __contains__(self, name: str) -> bool:
        return all(self.field[at >> 3] & (1 << (at & 7)) for at in self._places(name))


class HashBloom(Bloom):
    """The same with Python's own string hash, the cheapest there is; its places differ from process to process."""

    def _places(self, name: str) -> list[int]:
        first = hash(name)
        second = (first >> 32) | 1
        return [(first + i * second) % self.bits for i in range(self.hashes)]


def time_restrictions(size: int) -> dict[str, float]:
    """Return nanoseconds of one look-up that mostly misses, and bytes, for both ways."""
    names = [f"R{n}" for n in range(size)]
    asked = [f"S{n}" for n in range(1_000)]
    plain = frozenset(names)
    blooms = {"bloom": Bloom(names, size * 10, 7), "bloom_cheap_hash": HashBloom(names, size * 10, 7)}

    def best(look: Callable[[], int]) -> float:
        times = []
        for _ in range(5):
            started = time.perf_counter_ns()
            look()
            times.append((time.perf_counter_ns() - started) / len(asked))
        return min(times)

    figures = {"frozenset_ns": best(lambda: sum(name in plain for name in asked))}
    for name, bloom in blooms.items():
        figures[f"{name}_ns"] = best(lambda bloom=bloom: sum(n in bloom for n in asked))
        figures[f"{name}_false_positives_pct"] = 100 * sum(n in bloom for n in asked) / len(asked)
    figures["frozenset_kib"] = (plain.__sizeof__() + sum(n.__sizeof__() for n in names)) / 1024
    figures["bloom_kib"] = len(blooms["bloom"].field) / 1024
    return figures


def main() -> int:
    """Print the figures as one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--orders", type=int, default=20_000)
    parser.add_argument("--instruments", type=int, default=1_000)
    parser.add_argument("--books", type=int, default=100)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--restricted", type=int, default=10_000, help="names in the restriction look-up")
    parser.add_argument("--require", action="store_true", help="exit 1 above 5 microseconds an order")
    args = parser.parse_args()
    specs = [instrument(n) for n in range(args.instruments)]
    engine = filled_engine(specs)
    figures: dict[str, float] = {}
    with tempfile.TemporaryDirectory() as folder:
        share = max(1, args.instruments // args.books)
        for name, own in (("own_instruments", share), ("all_instruments", args.instruments)):
            path = Path(folder) / f"{name}.jsonl"
            gate = make_gate(engine, specs, args.books, RiskAudit(path, "bench"))
            rounds = [time_gate(gate, specs, args.orders, n, own) for n in range(args.rounds)]
            figures |= {f"{name}_{key}": min(r[key] for r in rounds) for key in rounds[0]}
            gate.audit.close()
    figures |= time_restrictions(args.restricted)
    print(json.dumps({name: round(value, 3) for name, value in figures.items()}))
    return 1 if args.require and figures["own_instruments_best_us"] > 5.0 else 0


if __name__ == "__main__":
    raise SystemExit(main())
