"""What the ledger and crossing add to a backtest's time: the same spec with each of them on and off, by turns."""

import argparse
import json
import os
import sys
import tempfile
import time
from collections.abc import Callable
from importlib.resources import as_file, files
from pathlib import Path
from typing import Any

from benchmarks.measure import alternate
from ufos_nautilus.engine import RunSpec, load_spec, run_backtest

KEEPER_SHARE_MAX = 0.15
"""Most that the ledger keeper may add."""
SPECS = ("house_bac", "mm_btcusdt_perp", "mm_generated")


def cases(spec: RunSpec) -> dict[str, RunSpec]:
    """Return the spec as it is and with ledger or crossing off."""
    bare = spec.ledger.model_copy(update={"enabled": False})
    kept = spec.ledger.model_copy(update={"enabled": True})
    out = {"ledger": spec.model_copy(update={"ledger": kept}), "no ledger": spec.model_copy(update={"ledger": bare})}
    if spec.crossing is not None:
        off = spec.crossing.model_copy(update={"enabled": False})
        out["ledger, no crossing"] = spec.model_copy(update={"ledger": kept, "crossing": off})
    return out


def timed(spec: RunSpec, root: Path, seen: dict[str, Any]) -> Callable[[], float]:
    """Return a function that runs a spec and returns its CPU seconds."""

    def run() -> float:
        started = time.process_time()
        result = run_backtest(spec, root=root)
        taken = time.process_time() - started
        seen.update({k: result[k] for k in ("rows", "orders", "fills")})
        seen["entries"] = result.summary.get("ledger", {}).get("entries", 0)
        return taken

    return run


def measure(spec: RunSpec, repetitions: int) -> dict[str, Any]:
    """Return CPU seconds of each case, and what ledger and crossing add to the others."""
    counts: dict[str, dict[str, Any]] = {name: {} for name in cases(spec)}
    with tempfile.TemporaryDirectory() as scratch:
        least = alternate({n: timed(s, Path(scratch), counts[n]) for n, s in cases(spec).items()}, repetitions)
    with_ledger, without = least["ledger"], least["no ledger"]
    found: dict[str, Any] = {"spec": spec.name, "repetitions": repetitions, "cpu_s": least, "counts": counts}
    found["keeper_share"] = with_ledger / without - 1
    entries = counts["ledger"]["entries"]
    found["keeper_us_per_entry"] = (with_ledger - without) / entries * 1e6 if entries else None
    return found


def find_specs(names: list[str]) -> list[RunSpec]:
    """Return the specs named, or the demo and those of `SPECS` whose catalogs are there."""
    if names:
        return [load_spec(Path(name)) for name in names]
    with as_file(files("ufos_strategies") / "demo.toml") as path:
        found = [load_spec(path)]
    for name in SPECS:
        spec = load_spec(Path("strategies/specs") / f"{name}.toml")
        absent = [d.catalog for d in spec.data if d.catalog and not Path(d.catalog).exists()]
        if absent:
            print(f"{name}: no catalog {absent[0]}; see catalogs/datasets.toml", file=sys.stderr)
        else:
            found.append(spec)
    return found


def main() -> None:
    """Measure and print; exit code 1 where the keeper adds more than it may."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("specs", nargs="*", help="run specs; by default the demo and what catalogs there are")
    parser.add_argument("--repetitions", type=int, default=3)
    parser.add_argument("--json", action="store_true", help="print one JSON object a spec")
    options = parser.parse_args()
    os.environ.pop("UFOS_LEDGER_URL", None)
    worst = 0.0
    for spec in find_specs(options.specs):
        found = measure(spec, options.repetitions)
        worst = max(worst, found["keeper_share"])
        if options.json:
            print(json.dumps(found), flush=True)
            continue
        counts = found["counts"]["ledger"]
        print(f"{spec.name}: {counts['rows']:,} rows, {counts['fills']:,} fills, {counts['entries']:,} entries")
        for name, seconds in found["cpu_s"].items():
            print(f"  {name:<20} {seconds:7.2f} s CPU")
        per_entry = found["keeper_us_per_entry"]
        print(f"  the keeper adds {found['keeper_share']:.1%}", end="")
        print("" if per_entry is None else f", {per_entry:.0f} us an entry", flush=True)
    if worst > KEEPER_SHARE_MAX:
        raise SystemExit(f"the keeper adds {worst:.1%}, more than {KEEPER_SHARE_MAX:.0%}")


if __name__ == "__main__":
    main()
