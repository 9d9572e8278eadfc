"""Values as every client can read them: no NaN, no integer that JavaScript would round, times and money as text."""

import json
import math
from datetime import date, datetime
from decimal import Decimal
from pathlib import PurePath
from typing import Any, Final

from mcp.server.mcpserver.exceptions import ToolError
from mcp.types import CallToolResult, ResourceLink, TextContent

from ufos_nautilus.errors import UfosError
from ufos_nautilus.limits import MCP_RESULT_BYTES_MAX

SAFE_INTEGER: Final = 2**53 - 1
"""Largest integer that a double holds exactly."""


def plain(value: Any) -> Any:
    """Return JSON data that means the same to every client.

    NaN and infinities become None, integers beyond `SAFE_INTEGER` and decimals become text, times ISO 8601 text.
    """
    if value is None or isinstance(value, str | bool):
        return value
    if isinstance(value, int):
        return value if abs(value) <= SAFE_INTEGER else str(value)
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Decimal):
        return format(value, "f") if value.is_finite() else None
    if isinstance(value, datetime):
        return value.isoformat().replace("+00:00", "Z")
    if isinstance(value, date | PurePath):
        return str(value)
    if isinstance(value, dict):
        return {str(k): plain(v) for k, v in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [plain(v) for v in value]
    return str(value)


def to_json(value: Any) -> str:
    """Return compact JSON of `plain` data."""
    return json.dumps(plain(value), separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def bounded_json(value: Any, what: str) -> str:
    """Return compact JSON.

    Raises
    ------
    ToolError
        It is longer than `limits.MCP_RESULT_BYTES_MAX`.

    """
    text = to_json(value)
    if len(text.encode()) > MCP_RESULT_BYTES_MAX:
        raise ToolError(f"{what} would be {len(text):,} characters; ask for fewer rows or fewer instruments")
    return text


def answer(data: dict[str, Any], *, links: dict[str, str] | None = None, error: bool = False) -> CallToolResult:
    """Return a tool's result: the data once as text, once structured, and links to what belongs to it.

    Parameters
    ----------
    data : dict
        The result.
    links : dict, optional
        Resource URI -> what is there.
    error : bool
        Whether the call failed.

    """
    text = bounded_json(data, "the result")
    content: list[Any] = [TextContent(type="text", text=text)]
    for uri, about in (links or {}).items():
        name = uri.rpartition("://")[2]
        content.append(
            ResourceLink(type="resource_link", uri=uri, name=name, description=about, mime_type="application/json")
        )
    return CallToolResult(content=content, structured_content=json.loads(text), is_error=error)


def explain(error: UfosError) -> str:
    """Return an error of the product as a model should read it."""
    parts = [error.problem]
    if error.expected:
        parts.append(f"Expected: {error.expected}.")
    if error.next_step:
        parts.append(f"Next: {error.next_step}")
    return " ".join(parts)
