"""What a run gives back: its summary and typed tables, read from where they are stored."""

import hashlib
import json
import math
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

import polars as pl

from ufos_nautilus.engine.runs import read_result


@dataclass(frozen=True, slots=True)
class RunResult:
    """A finished run.

    Parameters
    ----------
    directory : Path
        ``runs/<run_id>``.
    summary : dict
        Content of ``result.json``; money as decimal text.

    """

    directory: Path
    summary: dict[str, Any]

    @classmethod
    def load(cls, directory: Path) -> "RunResult":
        """Read a stored run."""
        return cls(directory, read_result(directory))

    def __getitem__(self, key: str) -> Any:
        return self.summary[key]

    @property
    def run_id(self) -> str:
        """Return the run's id."""
        return self.summary["run_id"]

    @property
    def digest(self) -> str:
        """Return the hash over orders, fills and final balances; equal for equal behaviour."""
        return self.summary["digest"]

    def table(self, name: str) -> pl.DataFrame:
        """Return one of the tables named in `ufos_nautilus.run_schemas.SCHEMAS`."""
        return pl.read_parquet(self.directory / f"{name}.parquet")

    @property
    def orders(self) -> pl.DataFrame:
        """Return all orders, in the order they closed; working ones last."""
        return self.table("orders")

    @property
    def fills(self) -> pl.DataFrame:
        """Return all fills in time order, with the market's best bid and ask at that moment."""
        return self.table("fills")

    @property
    def positions(self) -> pl.DataFrame:
        """Return closed positions in time order, then open ones."""
        return self.table("positions")

    @property
    def equity(self) -> pl.DataFrame:
        """Return sampled equity per account and currency."""
        return self.table("equity")

    @property
    def quotes(self) -> pl.DataFrame:
        """Return the desks' quote decisions with the market they saw."""
        return self.table("quotes")

    @property
    def inventory(self) -> pl.DataFrame:
        """Return sampled positions per book and instrument with the market."""
        return self.table("inventory")


def run_digest(hashes: dict[str, str], balances: dict[str, dict[str, str]]) -> str:
    """Return the SHA-256 over the digests of orders and fills and the final balances."""
    return hashlib.sha256(json.dumps([hashes, balances], sort_keys=True).encode()).hexdigest()


def clean_statistics(result: Any) -> dict[str, Any]:
    """Return the engine's own statistics with undefined figures as None and sorted keys."""
    return {
        "pnl": {code: _finite(stats) for code, stats in sorted(result.stats_pnls.items())},
        "returns": _finite(result.stats_returns),
        "general": _finite(result.stats_general),
    }


def _finite(stats: dict[str, float]) -> dict[str, float | None]:
    return {k: (v if math.isfinite(v) else None) for k, v in sorted(stats.items())}


def plain(value: Decimal) -> str:
    """Return a decimal as text without exponent and without trailing zeros."""
    text = f"{value:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text
