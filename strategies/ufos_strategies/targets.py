"""Targets of client books: weights as given, from a file, or by a rule over a universe."""

import statistics
from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path
from random import Random
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from ufos_nautilus.errors import SpecError
from ufos_nautilus.portfolio import Restrictions, Security, Target, read_target

EIGHT = Decimal("0.00000001")


class UniverseConfig(BaseModel):
    """Which names a rule chooses from."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    symbols: list[str] = Field(default_factory=list)
    """Root symbols; empty for every instrument of the run."""
    sectors: list[str] = Field(default_factory=list)
    """GICS sectors; empty for all."""
    count: int = Field(default=0, ge=0)
    """How many of them; 0 for all."""
    by: Literal["traded_value", "name", "draw"] = "traded_value"
    """Which come first: those that trade most, by name, or drawn by the book's seed."""


class TargetConfig(BaseModel):
    """What a client wants to hold."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    weights: dict[str, Decimal] = Field(default_factory=dict)
    """Root symbol -> fraction of net asset value."""
    file: str = ""
    """A target file (TOML or CSV) instead, relative to where the command runs."""
    rule: Literal["", "equal", "inverse_volatility", "traded_value"] = ""
    """A rule instead: equal weights, by the inverse of volatility, or by traded value."""
    universe: UniverseConfig = UniverseConfig()
    """What the rule chooses from; chosen once, at the first session that has enough history."""
    cash: Decimal = Field(default=Decimal("0.01"), ge=0, lt=1)
    """Fraction kept in cash."""
    band: Decimal = Field(default=Decimal(0), ge=0, lt=1)
    """Names that are off by at most this fraction of net asset value are left alone."""

    @model_validator(mode="after")
    def _one_kind(self) -> "TargetConfig":
        if sum(map(bool, (self.weights, self.file, self.rule))) != 1:
            raise ValueError("a target has weights, a file or a rule: exactly one of them")
        return self


def fixed_target(config: TargetConfig, name: str) -> Target | None:
    """Return a target that needs no market, or None where a rule makes it."""
    if config.rule:
        return None
    if config.file:
        found = read_target(Path(config.file), cash="rest")
        weights, given = dict(found.weights), found.cash
    else:
        weights, given = dict(config.weights), 1 - sum(config.weights.values(), Decimal(0))
    whole = sum(weights.values(), Decimal(0))
    if given < config.cash and whole:
        weights = {s: (w * (1 - config.cash) / whole).quantize(EIGHT) for s, w in weights.items()}
    return Target.of({"weights": weights, "cash": "rest", "band": config.band}, name)


def choose(
    config: UniverseConfig,
    securities: Mapping[str, Security],
    traded: Mapping[str, float],
    restrictions: Restrictions,
    seed: int,
) -> list[str]:
    """Return the names of a universe that trade and are not excluded, in order of name.

    Raises
    ------
    SpecError
        If a symbol is unknown or none is left.

    """
    unknown = [s for s in config.symbols if s not in securities]
    if unknown:
        raise SpecError(f"the universe names {unknown[0]}, which the run does not have", expected="root symbols")
    names = [s for s in (config.symbols or sorted(securities)) if s in traded]
    names = [s for s in names if not config.sectors or securities[s].sector in config.sectors]
    names = [s for s in names if not restrictions.reason(securities[s])]
    if not names:
        raise SpecError("no name is left in a client's universe", expected="names that trade and are not restricted")
    if config.by == "traded_value":
        names.sort(key=lambda s: (-traded[s], s))
    elif config.by == "draw":
        names = sorted(names)
        Random(seed).shuffle(names)
    return sorted(names[: config.count or None])


def rule_target(
    config: TargetConfig, names: list[str], gains: Mapping[str, list[float]], traded: Mapping[str, float], label: str
) -> Target:
    """Return the target of a rule over chosen names.

    Parameters
    ----------
    config : TargetConfig
        The rule.
    names : list of str
        Root symbols.
    gains : mapping
        Root symbol -> daily total returns plus one, for volatilities.
    traded : mapping
        Root symbol -> mean traded value of a day, currency.
    label : str
        What the target is called.

    """
    if config.rule == "equal":
        raw = dict.fromkeys(names, 1.0)
    elif config.rule == "inverse_volatility":
        raw = {s: 1.0 / max(statistics.pstdev(gains[s]), 1e-4) for s in names if len(gains.get(s, ())) > 2}
    else:
        raw = {s: traded[s] for s in names}
    whole = sum(raw.values())
    share = float(1 - config.cash)
    weights = {s: Decimal(f"{share * value / whole:.8f}") for s, value in raw.items()}
    return Target.of({"weights": weights, "cash": "rest", "band": config.band}, label)
