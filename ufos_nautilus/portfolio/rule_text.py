"""Conditions written as text, such as ``close > sma(200)``: the words there are and what they mean; no values."""

import re
from dataclasses import dataclass
from typing import Final, Literal, NamedTuple

from ufos_nautilus.errors import SpecError
from ufos_nautilus.limits import RULE_PERIOD_MAX, RULE_TEXT_MAX

COLUMNS: Final = ("open", "high", "low", "close", "volume")
Operator = Literal["<", "<=", ">", ">=", "crosses above", "crosses below"]
_TERM: Final = re.compile(r"^([a-z_]+)(?:\(([0-9., ]*)\))?(?:\.([a-z]+))?$")
_CONDITION: Final = re.compile(r"^\s*(.+?)\s*(crosses above|crosses below|<=|>=|<|>)\s*(.+?)\s*$")
_NUMBER: Final = re.compile(r"^-?[0-9]+(\.[0-9]+)?$")


@dataclass(frozen=True, slots=True)
class IndicatorWord:
    """An indicator as text: its default parameters, its outputs beside the main one, and what it says."""

    defaults: tuple[float, ...]
    about: str
    outputs: tuple[str, ...] = ()


WORDS: Final[dict[str, IndicatorWord]] = {
    "sma": IndicatorWord((20,), "mean of closes"),
    "ema": IndicatorWord((20,), "exponential mean of closes"),
    "wma": IndicatorWord((20,), "linearly weighted mean of closes"),
    "hma": IndicatorWord((20,), "Hull moving average of closes"),
    "rsi": IndicatorWord((14,), "relative strength, 0 to 100, Wilder's smoothing"),
    "macd": IndicatorWord((12, 26, 9), "fast less slow exponential mean", ("signal", "hist")),
    "bollinger": IndicatorWord((20, 2.0), "mean of closes and a band around it", ("upper", "lower")),
    "atr": IndicatorWord((14,), "average true range, Wilder's smoothing"),
    "stochastic": IndicatorWord((14, 3), "place of the close in the range, 0 to 100", ("d",)),
    "roc": IndicatorWord((10,), "change over n bars, percent"),
    "zscore": IndicatorWord((20,), "deviations of the close from its mean"),
    "volatility": IndicatorWord((20,), "deviation of log returns per bar, percent"),
    "donchian": IndicatorWord((20,), "middle of the range of the n bars before", ("upper", "lower")),
    "cci": IndicatorWord((20,), "commodity channel index"),
    "aroon": IndicatorWord((25,), "Aroon oscillator, -100 to 100", ("up", "down")),
    "obv": IndicatorWord((), "on-balance volume"),
}
"""Name -> indicator."""


class Term(NamedTuple):
    """A number, a column of the bar, or one output of an indicator."""

    kind: Literal["number", "column", "indicator"]
    name: str = ""
    args: tuple[float, ...] = ()
    output: str = ""
    number: float = 0.0


class Condition(NamedTuple):
    """A comparison of two terms at a bar; a crossing looks at the bar before as well."""

    left: Term
    operator: Operator
    right: Term


def parse_term(text: str) -> Term:
    """Return what a term means.

    Parameters
    ----------
    text : str
        A number, a column of `COLUMNS`, or ``name(parameters).output`` with a name of `WORDS`; left out parameters
        have their defaults.

    Raises
    ------
    SpecError
        If it is none of them.

    """
    text = text.strip().lower()
    if _NUMBER.match(text):
        return Term("number", number=float(text))
    if text in COLUMNS:
        return Term("column", text)
    match = _TERM.match(text)
    if match is None or match[1] not in WORDS:
        raise SpecError(f"{text[:60]!r} is no indicator", expected=f"a number, {', '.join(COLUMNS)}, or {usage()}")
    word, output = WORDS[match[1]], match[3] or ""
    if output and output not in word.outputs:
        raise SpecError(f"{match[1]} has no output {output!r}", expected=", ".join(word.outputs) or "no output named")
    return Term("indicator", match[1], _arguments(match[1], word, match[2] or ""), output)


def _arguments(name: str, word: IndicatorWord, text: str) -> tuple[float, ...]:
    given = [part for part in text.replace(" ", "").split(",") if part]
    wanted = f"{name}({', '.join(f'{d:g}' for d in word.defaults)})"
    if len(given) > len(word.defaults):
        raise SpecError(f"{name} takes {len(word.defaults)} parameters, not {len(given)}", expected=wanted)
    out: list[float] = []
    for position, default in enumerate(word.defaults):
        if position >= len(given):
            out.append(default)
            continue
        whole = isinstance(default, int)
        try:
            number = int(given[position]) if whole else float(given[position])
        except ValueError:
            raise SpecError(f"{name}: {given[position]!r} is no whole number of bars", expected=wanted) from None
        if not 0 < number <= RULE_PERIOD_MAX or (whole and number < 2 and name != "roc"):
            raise SpecError(f"{name}: {given[position]} is out of range", expected=f"2 to {RULE_PERIOD_MAX:,} bars")
        out.append(number)
    if name == "macd" and out[0] >= out[1]:
        raise SpecError(f"macd: fast {out[0]:g} is not below slow {out[1]:g}", expected=wanted)
    return tuple(out)


def parse_condition(text: str) -> Condition:
    """Return what ``LEFT OPERATOR RIGHT`` means.

    Raises
    ------
    SpecError
        If it is no condition.

    """
    match = _CONDITION.match(text.lower()) if len(text) <= RULE_TEXT_MAX else None
    if match is None:
        raise SpecError(
            f"{text[:60]!r} is no condition",
            expected="such as 'rsi(14) < 30', 'close > sma(200)' or 'ema(12) crosses above ema(26)'",
        )
    left, right = parse_term(match[1]), parse_term(match[3])
    if left.kind == right.kind == "number":
        raise SpecError(f"{text[:60]!r} compares two numbers", expected="a column or an indicator on one side")
    operator: Operator = match[2]  # type: ignore[assignment]
    return Condition(left, operator, right)


def usage() -> str:
    """Return every indicator with its defaults and outputs, as one writes it."""
    return ", ".join(
        f"{n}({', '.join(f'{d:g}' for d in w.defaults)})" + "".join(f" .{o}" for o in w.outputs)
        for n, w in WORDS.items()
    )
