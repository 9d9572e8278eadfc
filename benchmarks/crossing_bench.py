"""Speed of the crossing core: tickets, quotes and recorded crosses per second, on a seeded flow that crosses."""

import argparse
import json
import platform
import tempfile
import time
from collections import deque
from decimal import Decimal
from pathlib import Path
from random import Random

from ufos_nautilus.crossing.best_execution import BestExecutionLog, read_crosses, verify
from ufos_nautilus.crossing.crosser import Crosser
from ufos_nautilus.crossing.grid import Grid
from ufos_nautilus.crossing.market_check import record_problems
from ufos_nautilus.crossing.terms import Cross, CrossingRules
from ufos_nautilus.crossing.ticket import Ticket

TICKETS_PER_S_FLOOR = 100_000
GRID = Grid(price_precision=2, size_precision=0)
TICKETS_PER_QUOTE = 5
RESTING = 300
"""Tickets older than this many are cancelled."""


def make_tickets(count: int, symbols: int, seed: int) -> list[Ticket]:
    """Half without limit, half within five cents of the middle; 50 owners; one microsecond apart."""
    rng = Random(seed)
    sizes = [Decimal(n) for n in range(100, 1_100, 100)]
    limits = [Decimal(19_000 + n).scaleb(-2) for n in range(-5, 6)]
    return [
        Ticket(
            order_id=f"T{n}",
            instrument=f"S{rng.randrange(symbols)}.XNAS",
            intent_side=rng.choice(("BUY", "SELL")),
            quantity=rng.choice(sizes),
            limit=None if rng.random() < 0.5 else rng.choice(limits),
            ts_ns=n * 1_000,
            client_id=f"C{rng.randrange(50)}",
        )
        for n in range(count)
    ]


def open_house(symbols: int) -> Crosser:
    crosser = Crosser(CrossingRules())
    for n in range(symbols):
        crosser.add_symbol(f"S{n}", GRID)
        crosser.on_nbbo(f"S{n}", "NBBO", 18_999, 100, 19_001, 100, 0)
    return crosser


def run_tickets(tickets: list[Ticket], symbols: int) -> tuple[float, float, list[Cross], int]:
    """Feed tickets, a quote for every fifth, commits of crosses, cancels of old tickets; return times and counts."""
    crosser = open_house(symbols)
    crosses: list[Cross] = []
    resting: deque[Ticket] = deque()
    quotes = 0
    wall, cpu = time.perf_counter(), time.process_time()
    for n, ticket in enumerate(tickets):
        if n % TICKETS_PER_QUOTE == 0:
            quotes += 1
            bid = 18_997 + quotes % 7
            root = f"S{quotes % symbols}"
            for cross in crosser.on_nbbo(root, "NBBO", bid, 100, bid + 1 + quotes % 3, 100, ticket.ts_ns).crosses:
                crosses.append(cross)
                crosser.commit(cross.cross_id)
        for cross in crosser.on_ticket(ticket).crosses:
            crosses.append(cross)
            crosser.commit(cross.cross_id)
        resting.append(ticket)
        if len(resting) > RESTING:
            old = resting.popleft().order_id
            if crosser.is_live(old):
                crosser.cancel(old, ticket.ts_ns)
    return time.perf_counter() - wall, time.process_time() - cpu, crosses, quotes


def run_quotes(count: int) -> float:
    """Feed quotes that move by a tick, over a pool whose limits never meet; return seconds."""
    crosser = open_house(1)
    for n in range(100):
        for side, limit in (("BUY", "189.00"), ("SELL", "191.00")):
            crosser.on_ticket(
                Ticket(
                    order_id=f"{side}{n}",
                    instrument="S0.XNAS",
                    intent_side="BUY" if side == "BUY" else "SELL",
                    quantity=Decimal(100),
                    limit=Decimal(limit),
                    ts_ns=0,
                    client_id=side,
                )
            )
    started = time.perf_counter()
    for n in range(count):
        crosser.on_nbbo("S0", "NBBO", 18_999 + n % 3, 100, 19_001 + n % 3, 100, n)
    return time.perf_counter() - started


def run_record(crosses: list[Cross]) -> tuple[float, float]:
    """Write and check a record of crosses; return both times in seconds."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "crosses.jsonl"
        started = time.perf_counter()
        with BestExecutionLog(path, run_id="bench") as log:
            for cross in crosses:
                log.append(cross)
            seal = log.seal()
        wrote = time.perf_counter() - started
        started = time.perf_counter()
        verify(path, expect=seal)
        checked = time.perf_counter() - started
        assert not [p for r in read_crosses(path) for p in record_problems(r)]
        return wrote, checked


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tickets", type=int, default=200_000)
    parser.add_argument("--symbols", type=int, default=20)
    parser.add_argument("--repeats", type=int, default=3, help="the fastest counts: the rest is other work's noise")
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    started = time.perf_counter()
    tickets = make_tickets(args.tickets, args.symbols, args.seed)
    made_s = time.perf_counter() - started
    wall, cpu, crosses, quotes = min(
        (run_tickets(tickets, args.symbols) for _ in range(args.repeats)), key=lambda r: r[0]
    )
    quotes_s = min(run_quotes(args.tickets) for _ in range(args.repeats))
    sample = crosses[:20_000]
    wrote, checked = run_record(sample)
    print(
        json.dumps(
            {
                "benchmark": "crossing",
                "tickets": args.tickets,
                "quotes": quotes,
                "crosses": len(crosses),
                "tickets_per_s": round(args.tickets / wall),
                "tickets_per_cpu_s": round(args.tickets / cpu),
                "floor": TICKETS_PER_S_FLOOR,
                "tickets_made_per_s": round(args.tickets / made_s),
                "quotes_per_s": round(args.tickets / quotes_s),
                "crosses_recorded_per_s": round(len(sample) / wrote),
                "crosses_verified_per_s": round(len(sample) / checked),
                "python": platform.python_version(),
            }
        )
    )


if __name__ == "__main__":
    main()
