"""`python -m benchmarks`: measure, print tables, write JSON."""

import argparse
import os
from collections.abc import Callable
from functools import partial
from pathlib import Path

from benchmarks import figures, tables
from benchmarks.environments import PEERS, own_environment, peer_environment
from benchmarks.inputs import cache_root, prepare, shared_data
from benchmarks.measure import machine

GROUPS = ("replays", "bars", "orders", "processes", "memory", "starting")


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("groups", nargs="*", metavar="GROUP", help=f"what to measure, of {', '.join(GROUPS)}; all")
    parser.add_argument("--repetitions", type=int, default=7, help="runs of each case, in turns (default 7)")
    parser.add_argument("--times", type=int, default=10, help="how often the longer recording repeats (default 10)")
    parser.add_argument("--cache", type=Path, default=cache_root(), help="catalogs and environments")
    parser.add_argument("--json", type=Path, help="where figures are written (default figures.json in the cache)")
    options = parser.parse_args()
    if unknown := [g for g in options.groups if g not in GROUPS]:
        parser.error(f"there is no group {', '.join(unknown)}")
    if not shared_data().is_dir():
        parser.error(f"there are no recordings in {shared_data()}; name their folder with UFOS_SHARED_DATA")
    inputs = prepare(options.cache)
    own = own_environment(options.cache / "environments")
    peers = {name: peer_environment(options.cache / "environments", name) for name in PEERS}
    for environment in (own, *peers.values()):
        if environment.python is None:
            print(f"no environment for {environment.name}: {environment.why}; what needs it is left out", flush=True)
    measure: dict[str, Callable[[], list[figures.Figure]]] = {
        "replays": partial(tables.replays, inputs, options.repetitions),
        "bars": partial(tables.bars, inputs, peers, options.repetitions),
        "orders": partial(tables.orders, inputs, options.repetitions),
        "processes": partial(tables.processes, inputs, own, peers, options.repetitions),
        "memory": partial(tables.memory, inputs, own, options.times),
        "starting": partial(tables.starting, inputs, own, options.repetitions),
    }
    where = machine()
    print(where, flush=True)
    os.environ.setdefault("COLUMNS", "170")  # wide enough for a line a figure where the output is no terminal
    found: list[figures.Figure] = []
    for name in options.groups or GROUPS:
        group = measure[name]()
        figures.show(group)
        found += group
    path = options.json or options.cache / "figures.json"
    figures.write(found, where, path)
    print(f"written to {path}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
