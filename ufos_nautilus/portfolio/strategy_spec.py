"""A strategy as data: conditions on indicators, sizing and exits, validated, with a JSON Schema; it needs no code."""

import json
import tomllib
from pathlib import Path
from typing import Annotated, Any, Final, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator

from ufos_nautilus.errors import SpecError
from ufos_nautilus.limits import (
    RULE_CONDITIONS_MAX,
    RULE_PERIOD_MAX,
    RULE_SYMBOLS_MAX,
    RULE_TEXT_MAX,
    STRATEGY_FILE_BYTES_MAX,
)
from ufos_nautilus.portfolio.rule_text import Condition, Term, parse_condition, parse_term, usage

SCHEMA_HINT: Final = "`ufos strategy schema` prints every key; `ufos strategy new` writes an example"


def _is_condition(text: str) -> str:
    try:
        parse_condition(text)
    except SpecError as error:
        raise ValueError(f"{error.problem}; expected {error.expected}") from None
    return text


def _is_term(text: str) -> str:
    if not text:
        return text
    try:
        parse_term(text)
    except SpecError as error:
        raise ValueError(f"{error.problem}; expected {error.expected}") from None
    return text


ConditionText = Annotated[str, Field(max_length=RULE_TEXT_MAX), AfterValidator(_is_condition)]
TermText = Annotated[str, Field(max_length=RULE_TEXT_MAX), AfterValidator(_is_term)]
Symbol = Annotated[str, Field(min_length=1, max_length=64)]


class _Model(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True, allow_inf_nan=False)


class UniverseRule(_Model):
    """Which names are looked at; each on its own."""

    symbols: list[Symbol] = Field(default_factory=list, max_length=RULE_SYMBOLS_MAX)
    """Root symbols or instrument ids; empty for every instrument of the run."""
    sectors: list[Symbol] = Field(default_factory=list, max_length=64)
    """GICS sectors; empty for all."""


class SideRules(_Model):
    """When a position of one side is opened and closed."""

    enter: list[ConditionText] = Field(min_length=1, max_length=RULE_CONDITIONS_MAX)
    """All of them must hold at a bar, for example ["close > sma(200)", "rsi(14) < 30"]."""
    exit: list[ConditionText] = Field(default_factory=list, max_length=RULE_CONDITIONS_MAX)
    """Any of them closes the position."""


class SizingRule(_Model):
    """How large a position is."""

    kind: Literal["weight", "volatility", "units"] = "weight"
    """A share of capital, a share scaled to a volatility, or a fixed number of units."""
    weight: float = Field(default=0.05, gt=0, le=10)
    """Share of capital of one position; the largest one where sized by volatility."""
    volatility_target: float = Field(default=0.01, gt=0, le=1)
    """Volatility that one position adds per year, a fraction of capital; `volatility` only."""
    volatility_bars: int = Field(default=60, ge=5, le=RULE_PERIOD_MAX)
    """Bars over which a name's volatility is measured; `volatility` only."""
    bars_per_year: float = Field(default=252.0, gt=0, le=31_536_000)
    """For the volatility of a year; `volatility` only."""
    units: float = Field(default=1.0, gt=0, le=1e12)
    """Units of one position, rounded down to lots; `units` only."""
    max_positions: int = Field(default=20, ge=1, le=1_000)
    """Most positions held at a time."""
    max_gross: float = Field(default=1.0, gt=0, le=10)
    """Gross position as a multiple of capital beyond which nothing new is opened."""
    rank: TermText = ""
    """Where more names qualify than there is room for, the highest of this come first, for example "roc(120)"."""


class ExitRules(_Model):
    """What closes a position besides its side's conditions; looked at on the close of every bar."""

    stop_loss_pct: float | None = Field(default=None, gt=0, lt=100)
    """Loss from the entry price."""
    take_profit_pct: float | None = Field(default=None, gt=0, le=10_000)
    """Gain from the entry price."""
    trailing_stop_pct: float | None = Field(default=None, gt=0, lt=100)
    """Loss from the best close since entry."""
    max_bars: int | None = Field(default=None, ge=1, le=1_000_000)
    """Bars a position is held at most."""


class StrategySpec(_Model):
    """A rule strategy: for each name on its own, when to enter, how large, and when to leave."""

    version: Literal[1] = 1
    """Of this layout."""
    name: str = Field(pattern=r"^[a-z][a-z0-9_-]{0,47}$")
    """Lower-case name."""
    description: str = Field(default="", max_length=2_000)
    """What it bets on and why that should pay."""
    bars: str = Field(
        default="1-DAY-LAST-EXTERNAL",
        pattern=r"^[1-9]\d{0,5}-(SECOND|MINUTE|HOUR|DAY)-(BID|ASK|MID|LAST)-(IN|EX)TERNAL$",
    )
    """Kind of bars; EXTERNAL are stored ones, INTERNAL are made from quotes (BID, ASK, MID) or trades (LAST)."""
    universe: UniverseRule = UniverseRule()
    """What it looks at."""
    long: SideRules | None = None
    """When it buys."""
    short: SideRules | None = None
    """When it sells short."""
    sizing: SizingRule = SizingRule()
    """How large positions are."""
    exits: ExitRules = ExitRules()
    """Stops, targets and the longest time held."""
    cooldown_bars: int = Field(default=0, ge=0, le=1_000_000)
    """Bars after a position was closed in which its name is left alone."""

    @model_validator(mode="after")
    def _whole(self) -> Self:
        sides = [side for side in (self.long, self.short) if side is not None]
        if not sides:
            raise ValueError("it has neither long nor short rules, so it never trades")
        timed = any(value is not None for value in self.exits.model_dump().values())
        for name, side in (("long", self.long), ("short", self.short)):
            if side is not None and not side.exit and not timed:
                raise ValueError(f"a {name} position would never be closed: give {name}.exit or one of exits")
        return self

    def conditions(self) -> dict[str, tuple[list[Condition], list[Condition]]]:
        """Return side (``long``, ``short``) -> conditions to enter (all) and to leave (any)."""
        out: dict[str, tuple[list[Condition], list[Condition]]] = {}
        for name, side in (("long", self.long), ("short", self.short)):
            if side is not None:
                out[name] = ([parse_condition(t) for t in side.enter], [parse_condition(t) for t in side.exit])
        return out

    def terms(self) -> list[Term]:
        """Return every column and indicator that the rules look at, each once, in the order of the text."""
        found: dict[Term, None] = {}
        for groups in self.conditions().values():
            for condition in (*groups[0], *groups[1]):
                found |= dict.fromkeys(t for t in (condition.left, condition.right) if t.kind != "number")
        if self.sizing.rank:
            found[parse_term(self.sizing.rank)] = None
        return list(found)

    @classmethod
    def of(cls, data: Any, source: str = "strategy") -> "StrategySpec":
        """Validate plain data.

        Raises
        ------
        SpecError
            Naming every key that is wrong and why.

        """
        try:
            return cls.model_validate(data)
        except ValidationError as error:
            lines = []
            for item in error.errors(include_url=False):
                where = ".".join(map(str, item["loc"]))
                lines.append(f"{where or 'strategy'}: {item['msg'].removeprefix('Value error, ')}"[:400])
            raise SpecError(
                f"{source}: " + "; ".join(lines), expected="a valid rule strategy", next_step=SCHEMA_HINT
            ) from None


def read_strategy(path: Path) -> StrategySpec:
    """Read a rule strategy from TOML or JSON; a table ``[strategy]`` may hold it.

    Raises
    ------
    SpecError
        If the file can't be read or is no valid strategy.

    """
    try:
        if path.stat().st_size > STRATEGY_FILE_BYTES_MAX:
            raise SpecError(f"{path.name} is larger than {STRATEGY_FILE_BYTES_MAX:,} bytes", expected="a rule strategy")
        text = path.read_text("utf-8-sig")
        data = json.loads(text) if path.suffix.lower() == ".json" else tomllib.loads(text)
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError, json.JSONDecodeError, RecursionError) as error:
        raise SpecError(
            f"{str(path)!r} can't be read: {error}", expected="a TOML or JSON file", next_step=SCHEMA_HINT
        ) from None
    return StrategySpec.of(data.get("strategy", data) if isinstance(data, dict) else data, path.name)


def strategy_schema() -> dict[str, Any]:
    """Return the JSON Schema of a rule strategy; its description lists the words that conditions know."""
    schema = StrategySpec.model_json_schema()
    schema["title"] = "StrategySpec"
    schema["description"] = (
        "A rule strategy: for each name on its own, when to enter, how large, and when to leave. Conditions are text: "
        f"LEFT < | <= | > | >= | crosses above | crosses below RIGHT, of numbers, open, high, low, close, volume and: "
        f"{usage()}."
    )
    schema["examples"] = [example.model_dump(mode="json", exclude_defaults=True) for example in EXAMPLES.values()]
    return schema


EXAMPLES: Final[dict[str, StrategySpec]] = {
    "dip": StrategySpec(
        name="dip",
        description="Buys a fall within a rising trend; leaves when the fall is made up for, or after a month.",
        long=SideRules(enter=["close > sma(200)", "rsi(4) < 25"], exit=["rsi(4) > 60"]),
        sizing=SizingRule(weight=0.05, max_positions=20, rank="roc(120)"),
        exits=ExitRules(stop_loss_pct=10, max_bars=21),
    ),
    "trend": StrategySpec(
        name="trend",
        description="Follows the trend both ways, each position scaled to the same volatility.",
        long=SideRules(enter=["ema(20) crosses above ema(100)"], exit=["ema(20) < ema(100)"]),
        short=SideRules(enter=["ema(20) crosses below ema(100)"], exit=["ema(20) > ema(100)"]),
        sizing=SizingRule(kind="volatility", volatility_target=0.01, weight=0.1, max_positions=40),
    ),
    "breakout": StrategySpec(
        name="breakout",
        description="Buys a close above the range of the last 55 bars and trails a stop behind it.",
        long=SideRules(enter=["close > donchian(55).upper"], exit=["close < donchian(20).lower"]),
        sizing=SizingRule(weight=0.1, max_positions=10, rank="roc(55)"),
        exits=ExitRules(trailing_stop_pct=12),
        cooldown_bars=10,
    ),
    "reversion": StrategySpec(
        name="reversion",
        description="Trades the distance from the mean of twenty minutes back to it.",
        bars="1-MINUTE-MID-INTERNAL",
        long=SideRules(enter=["zscore(20) < -2"], exit=["zscore(20) > 0"]),
        short=SideRules(enter=["zscore(20) > 2"], exit=["zscore(20) < 0"]),
        sizing=SizingRule(weight=0.25, max_positions=4, max_gross=1.0),
        exits=ExitRules(stop_loss_pct=1, max_bars=60),
    ),
}
"""Name -> a strategy to begin with."""
