"""Ledger: postings per second in batches, durable commits per second, the price of one fsync, and speed of checking."""

import argparse
import json
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

from ufos_nautilus.ledger.accounts import Asset
from ufos_nautilus.ledger.contracts import Contract
from ufos_nautilus.ledger.journal import Draft
from ufos_nautilus.ledger.ledger import Ledger, MemoryJournal
from ufos_nautilus.ledger.recipes import definitions, deposit
from ufos_nautilus.ledger.state import LedgerState
from ufos_nautilus.ledger.store import LedgerStore
from ufos_nautilus.ledger.store_check import check
from ufos_nautilus.ledger.trades import Leg, fill

BOOKS = 10
CONTRACT = Contract(item="AAPL", asset=Asset("AAPL", 0), currency=Asset("USD", 2))


def fills(state: LedgerState, count: int) -> Iterator[Draft]:
    """Yield fills with commission of ten books, two thirds of them buys, applied to `state` one by one."""
    for number in range(count):
        draft = fill(
            state,
            Leg(book=f"MM-{number % BOOKS}", commission=Decimal("0.35")),
            ts_ns=number,
            ref=f"T-{number}",
            instrument_id="AAPL.XNAS",
            side="SELL" if number // BOOKS % 3 == 2 else "BUY",
            quantity=Decimal(3),
            price=Decimal(19_000 + number % 97) / 100,
        )
        state.apply(draft)
        yield draft


def beginning() -> tuple[LedgerState, list[Draft]]:
    """Return definitions and one deposit per book, and the state after them."""
    state = LedgerState()
    drafts = definitions(state, CONTRACT)
    for draft in drafts:
        state.apply(draft)
    for number in range(BOOKS):
        paid_in = deposit(
            state, ts_ns=0, ref=f"D-{number}", book=f"MM-{number}", currency="USD", amount=Decimal(10**9), venue="XNAS"
        )
        state.apply(paid_in)
        drafts.append(paid_in)
    return state, drafts


class Disk:
    """A file that is there already, overwritten page by page: what one wait for the disk costs by itself."""

    PAGES = 1_000

    def __init__(self, folder: Path) -> None:
        self.page = os.urandom(4096)
        self.descriptor = os.open(folder / "pages", os.O_CREAT | os.O_WRONLY)
        os.write(self.descriptor, self.page * self.PAGES)
        os.fsync(self.descriptor)
        self.taken_us: list[float] = []

    def wait(self) -> None:
        """Overwrite one page and wait for the disk."""
        started = time.perf_counter()
        os.pwrite(self.descriptor, self.page, len(self.taken_us) % self.PAGES * len(self.page))
        os.fdatasync(self.descriptor)
        self.taken_us.append((time.perf_counter() - started) * 1e6)


def measure(url: str, batched: int, single: int, batch: int, disk: Disk) -> dict[str, float]:
    """Write prepared fills into the empty ledger at `url`; return rates, and what commits and the disk take."""
    state, first = beginning()
    drafts = list(fills(state, batched + single))
    postings = sum(len(draft.postings) for draft in drafts[:batched])
    with LedgerStore.open(url) as store:
        store.append(first)
        started = time.perf_counter()
        for start in range(0, batched, batch):
            store.append(drafts[start : start + batch])
        in_batches = time.perf_counter() - started
        commits_us: list[float] = []
        cpu = time.process_time()
        for number, draft in enumerate(drafts[batched:]):
            started = time.perf_counter()
            store.append([draft])
            commits_us.append((time.perf_counter() - started) * 1e6)
            if number % 10 == 0:  # between the commits, so that both meet the disk in the same state
                disk.wait()
        cpu = time.process_time() - cpu
        started = time.perf_counter()
        report = check(store)
        checking = time.perf_counter() - started
        report.require_sound()
    return {
        "batch_entries": batch,
        "entries_per_s": batched / in_batches,
        "postings_per_s": postings / in_batches,
        "durable_commits_per_s": 1e6 * single / sum(commits_us),
        "commit_us_median": statistics.median(commits_us),
        "commit_us_p99": statistics.quantiles(commits_us, n=100)[98],
        "commit_cpu_us": cpu * 1e6 / single,
        "fdatasync_us_median": statistics.median(disk.taken_us),
        "fdatasync_us_p99": statistics.quantiles(disk.taken_us, n=100)[98],
        "checked_entries_per_s": report.entries / checking,
    }


def recipe_rate(count: int) -> float:
    """Return fills per second through recipe, balances and a journal in memory."""
    ledger = Ledger(MemoryJournal())
    state, first = beginning()
    del state
    ledger.post(*first)
    started = time.perf_counter()
    for number in range(count):
        ledger.post(
            fill(
                ledger.state,
                Leg(book=f"MM-{number % BOOKS}", commission=Decimal("0.35")),
                ts_ns=number,
                ref=f"T-{number}",
                instrument_id="AAPL.XNAS",
                side="SELL" if number // BOOKS % 3 == 2 else "BUY",
                quantity=Decimal(3),
                price=Decimal("190.12"),
            )
        )
    ledger.flush()
    return count / (time.perf_counter() - started)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--entries", type=int, default=50_000, help="fills written in batches")
    parser.add_argument("--single", type=int, default=5_000, help="fills written one durable commit each")
    parser.add_argument("--batch", type=int, default=1_000, help="entries per batch")
    parser.add_argument(
        "--url", help="an empty ledger elsewhere, such as postgresql://...; SQLite in a new file unless given"
    )
    parser.add_argument(
        "--folder", type=Path, default=None, help="where the SQLite file goes (default: the temporary one)"
    )
    parser.add_argument("--require", action="store_true", help="exit 1 below 100,000 postings/s or 5,000 commits/s")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=args.folder) as folder:
        url = args.url or f"sqlite:///{folder}/ledger.sqlite"
        figures = measure(url, args.entries, args.single, args.batch, Disk(Path(folder)))
    figures["recipe_fills_per_s"] = recipe_rate(args.entries)
    print(json.dumps({name: round(value, 1) for name, value in figures.items()}))
    slow = figures["postings_per_s"] < 100_000 or figures["durable_commits_per_s"] < 5_000
    return int(args.require and slow)


if __name__ == "__main__":
    sys.exit(main())
