"""The surface: everything a client is shown, pinned, so that no description changes unseen."""

import hashlib
import json
from pathlib import Path
from typing import Any, Final

from mcp.server import MCPServer

from ufos_nautilus.errors import IntegrityError

PINNED: Final = "surface.json"
PINNED_PATH: Final = Path(__file__).with_name(PINNED)


async def surface(server: MCPServer[Any]) -> dict[str, Any]:
    """Return instructions, tools, resources, templates and prompts as clients see them."""
    parts: dict[str, list[Any]] = {
        "tools": await server.list_tools(),
        "resources": await server.list_resources(),
        "templates": await server.list_resource_templates(),
        "prompts": await server.list_prompts(),
    }
    shown = {
        name: [x.model_dump(mode="json", by_alias=True, exclude_none=True) for x in xs] for name, xs in parts.items()
    }
    return {"instructions": server.instructions, **shown}


def digest(shown: dict[str, Any]) -> str:
    """Return the SHA-256 of a surface's canonical JSON."""
    text = json.dumps(shown, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hashlib.sha256(text.encode()).hexdigest()


def pinned() -> dict[str, Any]:
    """Return the surface as it was last agreed to."""
    return json.loads(PINNED_PATH.read_text("utf-8"))


def require_pinned(shown: dict[str, Any]) -> str:
    """Return the digest of a surface.

    Raises
    ------
    IntegrityError
        It is not the pinned one; names what differs.

    """
    agreed = pinned()
    found = digest(shown)
    if found != digest(agreed):
        parts = [name for name in sorted({*shown, *agreed}) if shown.get(name) != agreed.get(name)]
        raise IntegrityError(
            f"what the server offers is not what was agreed to: {', '.join(parts)} changed",
            expected=f"the surface in ufos_mcp/{PINNED}",
            next_step="if meant: `ufos mcp surface --write`, and look at the difference",
        )
    return found
