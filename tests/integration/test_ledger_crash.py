"""The writing process is killed at random moments; what it was told is kept is kept, and nothing is half-written."""

import json
import os
import random
import select
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, Self

import pytest

from ufos_nautilus.ledger.store import LedgerStore
from ufos_nautilus.ledger.store_check import check, replay

KILLS = 160
"""Per database; 320 in all."""
KILLS_PER_LEDGER = 10
LONGEST_LIFE_S = 0.03

# A small process that forks writers on request: everything is imported once, so a writer starts in a few milliseconds.
NURSERY = """
import contextlib, json, os, random, sqlite3, sys
import sqlalchemy.dialects.sqlite.pysqlite
with contextlib.suppress(ImportError):
    import psycopg, sqlalchemy.dialects.postgresql.psycopg
from ufos_nautilus.errors import DataError
from ufos_nautilus.ledger.accounts import Account, Asset
from ufos_nautilus.ledger.journal import Draft, Posting
from ufos_nautilus.ledger.recipes import define_asset
from ufos_nautilus.ledger.store import LedgerStore

USD = Asset("USD", 2)

def write(url, seed):
    rng = random.Random(seed)
    while True:
        try:
            with LedgerStore.open(url) as store:
                if not store.head.seq:
                    store.append([define_asset(USD)])
                while True:
                    first = store.head.seq + 1
                    drafts = []
                    for number in range(first, first + rng.choice((1, 1, 1, 2, 9))):
                        amount = rng.randint(1, 10**9)
                        book = f"B-{rng.randint(0, 30)}"
                        cash, fees = Account(book, "USD", "cash", "V"), Account(book, "USD", "fees", "V")
                        capital = Account(book, "USD", "capital")
                        postings = (Posting(cash, amount), Posting(fees, 7), Posting(capital, -amount - 7))
                        drafts.append(Draft("deposit", number, f"ref {number}", postings, {"seed": seed}))
                    entries = store.append(drafts)
                    os.write(1, f"kept {entries[-1].seq} {entries[-1].hash.hex()}\\n".encode())
        except DataError as error:  # the last statement of a killed writer may still come in
            if "another process" not in str(error):
                raise

for line in sys.stdin:
    url, seed = json.loads(line)
    child = os.fork()
    if not child:
        try:
            write(url, seed)
        finally:
            os._exit(9)
    os.write(1, f"born {child}\\n".encode())
    status = os.waitpid(child, 0)[1]
    os.write(1, f"dead {status}\\n".encode())
"""


class Nursery:
    """Starts writers and says what they were told is kept."""

    def __init__(self, folder: Path) -> None:
        self.log = (folder / "nursery.log").open("w+b")
        self.process = subprocess.Popen(
            [sys.executable, "-W", "error", "-c", NURSERY],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self.log,
            bufsize=0,
        )
        self.unread = b""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        assert self.process.stdin and self.process.stdout
        self.process.stdin.close()
        self.process.wait(timeout=20)
        self.process.stdout.close()
        self.log.close()

    def lines(self, until: str, seconds: float) -> list[list[str]]:
        """Return what came, up to a line that begins with `until` or until time is up."""
        assert self.process.stdout
        deadline = time.monotonic() + seconds
        came: list[list[str]] = []
        while True:
            line, found, rest = self.unread.partition(b"\n")
            if found:
                self.unread = rest
                came.append(line.decode().split())
                if came[-1][0] == until:
                    return came
                continue
            left = deadline - time.monotonic()
            if left <= 0 or not select.select([self.process.stdout], [], [], left)[0]:
                return came
            chunk = os.read(self.process.stdout.fileno(), 65536)
            assert chunk, self.errors()
            self.unread += chunk

    def errors(self) -> str:
        self.log.seek(0)
        return self.log.read().decode()

    def live_and_die(self, url: str, seed: int, life_s: float) -> tuple[int, str]:
        """Run one writer, kill it, and return the last entry it was told is kept, with its hash."""
        assert self.process.stdin
        self.process.stdin.write(json.dumps([url, seed]).encode() + b"\n")
        came = self.lines("born", 20)
        child = int(came[-1][1])
        came += self.lines("kept", 20)  # the time it takes to open the ledger is not counted
        came += self.lines("never", life_s)
        os.kill(child, signal.SIGKILL)
        came += self.lines("dead", 20)
        assert came[-1] == ["dead", str(int(signal.SIGKILL))], self.errors()
        kept = [line for line in came if line[0] == "kept"]
        return (int(kept[-1][1]), kept[-1][2]) if kept else (0, "")


@pytest.mark.slow
@pytest.mark.timeout(120)
def test_a_killed_writer_loses_nothing_it_was_told_is_kept(new_ledger, tmp_path):
    rng = random.Random(20240808)
    kills = beyond = 0
    url = ""
    with Nursery(tmp_path) as nursery:
        while kills < KILLS:
            if kills % KILLS_PER_LEDGER == 0:
                url = new_ledger()
            # Half of the lives end within the first few writes, so that opening and the first batch are hit as well.
            life_s = rng.uniform(0, 0.004 if rng.random() < 0.5 else LONGEST_LIFE_S)
            seq, digest = nursery.live_and_die(url, kills, life_s)
            kills += 1
            with LedgerStore.open(url) as store:
                report = check(store)
                assert report.problems == ()
                assert report.entries >= seq
                assert store.entry(seq).hash.hex() == digest
                beyond += report.entries > seq
                if kills % KILLS_PER_LEDGER == 0:
                    assert replay(store).differences == ()
    assert kills == KILLS
    assert beyond, "no kill came between a commit and its acknowledgement: the moments are not random enough"


@pytest.mark.postgres
@pytest.mark.slow
@pytest.mark.timeout(120)
def test_a_server_that_dies_loses_nothing_it_acknowledged(postgres: Any, tmp_path):
    url = postgres.url()
    with Nursery(tmp_path) as nursery:
        for seed in range(4):
            assert nursery.process.stdin
            nursery.process.stdin.write(json.dumps([url, seed]).encode() + b"\n")
            came = nursery.lines("born", 20) + nursery.lines("kept", 20) + nursery.lines("never", 0.05)
            postgres.stop("immediate")
            came += nursery.lines("dead", 20)
            kept = [line for line in came if line[0] == "kept"][-1]
            postgres.start()
            with LedgerStore.open(url) as store:
                assert check(store).problems == ()
                assert store.entry(int(kept[1])).hash.hex() == kept[2]
