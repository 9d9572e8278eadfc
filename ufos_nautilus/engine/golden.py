"""Golden runs: small specs with stored results; a change of behaviour shows as a table of differences."""

import json
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ufos_nautilus.engine.backtest import run_backtest
from ufos_nautilus.engine.result import RunResult
from ufos_nautilus.engine.runs import write_json
from ufos_nautilus.engine.spec_file import load_spec
from ufos_nautilus.errors import BadInputError

SIGNIFICANT_DIGITS = 10
"""Statistics are floats; they are compared to this many digits."""


@dataclass(frozen=True, slots=True)
class GoldenResult:
    """One golden run: what differs from what is stored, or why it did not run."""

    name: str
    differences: list[tuple[str, str, str]]
    """Figure, stored value, value now."""
    skipped: str = ""

    @property
    def status(self) -> str:
        """Return ``same``, ``differs`` or ``skipped``."""
        return "skipped" if self.skipped else "differs" if self.differences else "same"


def golden_specs(directory: Path) -> list[Path]:
    """Return the golden specs of a directory, by name."""
    found = sorted(directory.glob("*.toml"))
    if not found:
        raise BadInputError(f"there are no golden runs in {directory}", expected="NAME.toml and NAME.json files")
    return found


def check_golden(spec_path: Path, *, update: bool = False) -> GoldenResult:
    """Run one golden spec and compare it with its stored result, or store the result with `update`."""
    spec = load_spec(spec_path)
    absent = [d.catalog for d in spec.data if d.catalog and not Path(d.catalog).exists()]
    if absent:
        return GoldenResult(spec_path.stem, [], f"no catalog {absent[0]}; see catalogs/datasets.toml")
    with tempfile.TemporaryDirectory() as scratch:
        now = golden_figures(run_backtest(spec, root=Path(scratch)))
    stored_path = spec_path.with_suffix(".json")
    stored = json.loads(stored_path.read_text("utf-8")) if stored_path.exists() else {}
    differences = [
        (key, str(stored.get(key, "absent")), str(now.get(key, "absent")))
        for key in sorted(stored.keys() | now.keys())
        if stored.get(key) != now.get(key)
    ]
    if update and differences:
        write_json(stored_path, now)
    return GoldenResult(spec_path.stem, differences)


def golden_figures(result: RunResult) -> dict[str, Any]:
    """Return what is compared: hashes, counts, balances and statistics, flat and as text."""
    s = result.summary
    flat: dict[str, Any] = {
        "digest": s["digest"],
        "order_list_hash": s["digests"]["orders"],
        "fill_list_hash": s["digests"]["fills"],
        **{k: str(s[k]) for k in ("rows", "orders", "fills", "denied", "rejected")},
        **{f"net_pnl.{code}": v for code, v in s["net_pnl"].items()},
        **{f"max_inventory.{name}": v for name, v in s["max_inventory"].items()},
        **{f"balance.{a}.{c}": v for a, totals in s["final_balances"].items() for c, v in totals.items()},
    }
    if "ledger" in s:
        flat |= {"ledger_entries": str(s["ledger"]["entries"])}
    if "crosses" in s:
        flat |= {f"crosses.{k}": str(v) for k, v in s["crosses"].items() if k != "head"}
    for group, values in s["statistics"].items():
        for key, value in values.items():
            nested = value if isinstance(value, dict) else {"": value}
            for name, figure in nested.items():
                text = "undefined" if figure is None else f"{figure:.{SIGNIFICANT_DIGITS}g}"
                flat[f"statistics.{group}.{key}{'.' if name else ''}{name}"] = text
    return flat
