"""Configuration of MCP clients, so that they start the server."""

import json
import os
import sys
from pathlib import Path
from typing import Any, Final

from ufos_nautilus.errors import DataError, SpecError

NAME: Final = "ufos"
CLIENTS: Final = ("claude-desktop", "claude-code", "cursor", "vscode")


def command() -> list[str]:
    """Return what starts the server here; clients give it an almost empty environment, so the path is whole."""
    script = Path(sys.executable).with_name("ufos-mcp")
    return [str(script)] if script.is_file() else [sys.executable, "-m", "ufos_mcp"]


def configuration(client: str, root: Path, start: list[str] | None = None) -> dict[str, Any]:
    """Return the part of a client's configuration that names the server.

    Parameters
    ----------
    client : str
        One of `CLIENTS`.
    root : Path
        Folder the server works in.
    start : list of str, optional
        Command that starts it; the one installed here unless given.

    """
    if client not in CLIENTS:
        raise SpecError(f"there is no client {client!r}", expected=", ".join(CLIENTS))
    words = [*(start or command()), "--root", str(root)]
    entry: dict[str, Any] = {"command": words[0], "args": words[1:]}
    if client == "vscode":
        return {"servers": {NAME: {"type": "stdio", **entry}}}
    return {"mcpServers": {NAME: entry}}


def place(client: str, root: Path) -> Path:
    """Return the file a client reads: the user's for Claude Desktop, the folder's for the others."""
    match client:
        case "claude-desktop":
            home = "Library/Application Support" if sys.platform == "darwin" else ".config"
            base = Path(os.environ.get("XDG_CONFIG_HOME", "")) if home == ".config" else Path()
            base = base if base.is_absolute() else Path.home() / home
            return base / "Claude" / "claude_desktop_config.json"
        case "claude-code":
            return root / ".mcp.json"
        case "cursor":
            return root / ".cursor" / "mcp.json"
        case _:
            return root / ".vscode" / "mcp.json"


def merged(path: Path, entry: dict[str, Any]) -> str:
    """Return a client's configuration with the server in it and everything else as it was.

    Raises
    ------
    DataError
        What stands there is no JSON object; it is left alone.

    """
    found: Any = {}
    if path.is_file():
        try:
            found = json.loads(path.read_text("utf-8") or "{}")
        except (OSError, ValueError) as error:
            raise DataError(f"{path} is no plain JSON: {error}", next_step="add what --print shows by hand") from error
    if not isinstance(found, dict) or any(not isinstance(found.get(k, {}), dict) for k in entry):
        raise DataError(f"{path} holds something else", next_step="add what --print shows by hand")
    for key, servers in entry.items():
        found[key] = {**found.get(key, {}), **servers}
    return json.dumps(found, indent=2, ensure_ascii=False) + "\n"
