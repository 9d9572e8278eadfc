"""One idea, "buy when RSI < 30", as an assistant writes it down: as rules, and as code."""

from typing import Any

from ufos_mcp.template import CODE as TEMPLATE

HYPOTHESIS = "minute bars with RSI(14) under 30 rebound within the hour"
RULES: dict[str, Any] = {
    "description": "Buys a dip and leaves on the rebound.",
    "bars": "1-MINUTE-LAST-EXTERNAL",
    "long": {"enter": ["rsi(14) < 30"], "exit": ["rsi(14) > 55"]},
    "sizing": {"kind": "units", "units": 10},
}
CODE = TEMPLATE
