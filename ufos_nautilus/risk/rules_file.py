"""Reads limits files and says what differs between two of them."""

import json
import tomllib
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from ufos_nautilus.errors import SpecError
from ufos_nautilus.limits import RISK_LIMITS_BYTES_MAX
from ufos_nautilus.risk.rules import RiskRules


def parse_rules(data: Any, source: str = "limits") -> RiskRules:
    """Validate plain data as limits.

    Raises
    ------
    SpecError
        Naming each key that is wrong.

    """
    try:
        return RiskRules.model_validate(data)
    except ValidationError as error:
        lines = [
            f"{'.'.join(map(str, e['loc'])) or 'file'}: {e['msg'].removeprefix('Value error, ')}"
            for e in error.errors(include_url=False)
        ]
        raise SpecError(
            f"{source}: {'; '.join(lines)[:2000]}", expected="a valid limits file", next_step="`ufos risk schema`"
        ) from None


def load_rules(path: Path) -> RiskRules:
    """Read and validate a limits file (TOML)."""
    try:
        size = path.stat().st_size
        if size > RISK_LIMITS_BYTES_MAX:
            raise SpecError(f"{path} has {size:,} bytes", expected=f"at most {RISK_LIMITS_BYTES_MAX:,}")
        data = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise SpecError(
            f"limits file {str(path)!r} can't be read: {error}",
            expected="a TOML file",
            next_step="strategies/limits.toml is an example",
        ) from None
    return parse_rules(data, str(path))


def flat(rules: RiskRules) -> dict[str, str]:
    """Return every value that is set, by its path, as text."""
    out: dict[str, str] = {}

    def walk(prefix: str, value: Any) -> None:
        if isinstance(value, dict):
            for key, inner in value.items():
                walk(f"{prefix}.{key}" if prefix else str(key), inner)
        elif isinstance(value, list) and value and isinstance(value[0], dict):
            for number, inner in enumerate(value):
                walk(f"{prefix}.{inner.get('id', number)}", inner)
        elif value not in (None, [], ""):
            out[prefix] = json.dumps(value) if isinstance(value, list) else str(value)

    walk("", rules.model_dump(mode="json"))
    return out


def diff(old: RiskRules, new: RiskRules) -> list[tuple[str, str, str]]:
    """Return (path, old value, new value) of what differs; an empty text is an absent value."""
    before, after = flat(old), flat(new)
    return [
        (key, before.get(key, ""), after.get(key, ""))
        for key in sorted(before.keys() | after.keys())
        if before.get(key) != after.get(key)
    ]
