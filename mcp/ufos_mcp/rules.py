"""Rule strategies: data that a book class of the product runs; here they are described, checked, changed and placed."""

import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from pydantic import ValidationError

from ufos_mcp.market import Found
from ufos_mcp.specs import START_AMOUNT, Ask
from ufos_mcp.strict import compact, readable
from ufos_nautilus.errors import SpecError

if TYPE_CHECKING:
    from ufos_nautilus.portfolio.strategy_spec import StrategySpec

BOOK: Final = "ufos_strategies.rules:RuleStrategy"
"""Class that runs them."""
SIDES: Final = ("BID", "ASK", "MID")


def schema() -> dict[str, Any]:
    """Return the JSON Schema of a rule strategy, and examples."""
    from ufos_nautilus.portfolio.strategy_spec import strategy_schema

    whole = strategy_schema()
    examples = whole.pop("examples")
    return {"strategy": "rule", "schema": compact(whole), "examples": examples}


def checked(data: Mapping[str, Any]) -> dict[str, Any]:
    """Return a rule strategy as it is stored: without what is as it would be anyway.

    Raises
    ------
    SpecError
        It is none; names what is wrong. Text is no number here, and ``true`` no 1.

    """
    return parsed(data).model_dump(mode="json", exclude_defaults=True)


def parsed(data: Mapping[str, Any]) -> "StrategySpec":
    """Return a rule strategy; raises as `checked` does."""
    from ufos_nautilus.portfolio.strategy_spec import StrategySpec

    try:
        return StrategySpec.model_validate_json(json.dumps(dict(data), allow_nan=False), strict=True)
    except ValidationError as error:
        raise SpecError(
            readable(error, StrategySpec).replace("Value error, ", ""),
            expected="a rule strategy",
            next_step='list_strategies {"name":"rule"} shows every key and examples',
        ) from None


def merged(base: Any, changes: Any) -> Any:
    """Return a JSON merge patch (RFC 7396): null removes, objects merge, all else replaces."""
    if not isinstance(changes, Mapping):
        return changes
    out = dict(base) if isinstance(base, Mapping) else {}
    for key, value in changes.items():
        if value is None:
            out.pop(key, None)
        else:
            out[key] = merged(out.get(key), value)
    return out


def changed(data: Mapping[str, Any], params: Mapping[str, Any]) -> dict[str, Any]:
    """Return a rule strategy with other values: keys are those of the spec, dotted where they are nested."""
    out: Any = dict(data)
    for path, value in params.items():
        patch: Any = value
        for part in reversed(path.split(".")):
            patch = {part: patch}
        out = merged(out, patch)
    return out


def book(data: Mapping[str, Any], found: Found, ask: Ask) -> dict[str, Any]:
    """Return the book of a run spec that runs a rule strategy on what a caller asks for.

    Raises
    ------
    SpecError
        A parameter fits nothing, or the bars the strategy looks at are not there.

    """
    spec = parsed(changed(data, ask.params))
    require_bars(spec, found, ask.symbols)
    currency = found.catalog.instrument(ask.symbols[0]).settlement
    params = {
        "strategy": spec.model_dump(mode="json", exclude_defaults=True),
        "instrument_ids": list(ask.symbols),
        "currency": currency,
        "base": START_AMOUNT,
    }
    return {"class_path": BOOK, "capital": [f"{START_AMOUNT} {currency}"], "params": params}


def require_bars(spec: "StrategySpec", found: Found, symbols: Sequence[str]) -> None:
    """Raise `SpecError` where the bars that a strategy looks at are neither recorded nor can be made."""
    _, _, price, source = spec.bars.split("-")
    for symbol in symbols:
        tables = found.tables.get(symbol, ())
        recorded = [t.identifier.removeprefix(f"{symbol}-") for t in tables if t.kind == "bars"]
        kinds = {t.kind for t in tables}
        if source == "EXTERNAL" and spec.bars not in recorded:
            problem = f"{symbol} has no recorded bars {spec.bars}"
        elif source == "INTERNAL" and ("quotes" if price in SIDES else "trades") not in kinds:
            problem = f"{symbol} has no {'quotes' if price in SIDES else 'trades'} to make bars {spec.bars} from"
        else:
            continue
        made = (["1-MINUTE-MID-INTERNAL"] if "quotes" in kinds else []) + (
            ["1-MINUTE-LAST-INTERNAL"] if "trades" in kinds else []
        )
        raise SpecError(problem, expected=f'"bars" of {", ".join([*recorded, *made]) or "another instrument"}')
