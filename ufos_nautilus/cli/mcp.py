"""`ufos mcp`: serve assistants, write their configuration, keep their keys, check that all of it works."""

import json as json_module
import os
from pathlib import Path
from typing import Annotated, Any

import typer

from ufos_nautilus.cli.console import out, print_json, print_table
from ufos_nautilus.errors import BadInputError, RunFailedError, SpecError

app = typer.Typer(add_completion=False, no_args_is_help=True, help="Serve assistants over the Model Context Protocol.")
token_app = typer.Typer(no_args_is_help=True, help="Keys for clients that connect over HTTP.")
app.add_typer(token_app, name="token")

Json = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]
Root = Annotated[Path, typer.Option(help="Folder with catalogs/ and runs/.")]
Keys = Annotated[Path | None, typer.Option(help="File of keys; ~/.config/ufos/mcp_keys.json unless given.")]
PASS_ON = {"allow_extra_args": True, "ignore_unknown_options": True, "help_option_names": []}


@app.command(context_settings=PASS_ON)
def serve(context: typer.Context) -> None:
    """Serve on standard input and output, or over HTTP; the options are those of `ufos-mcp --help`."""
    require_sdk()
    from ufos_mcp.main import main

    main(context.args)


@app.command()
def install(
    client: Annotated[str, typer.Argument(help="claude-desktop, claude-code, cursor or vscode.")],
    root: Root = Path(),
    print_: Annotated[bool, typer.Option("--print", help="Print the configuration and change nothing.")] = False,
    json: Json = False,
) -> None:
    """Add the server to a client's configuration; what else stands there stays."""
    from ufos_mcp.clients import CLIENTS, configuration, merged, place

    if client not in CLIENTS:
        raise SpecError(f"there is no client {client!r}", expected=", ".join(CLIENTS))
    entry = configuration(client, root.resolve())
    path = place(client, root.resolve())
    if print_:
        print(json_module.dumps(entry, indent=2))
        return
    text = merged(path, entry)
    path.parent.mkdir(parents=True, exist_ok=True)
    scratch = path.with_name(f".{path.name}.{os.getpid()}")
    scratch.write_text(text, "utf-8")
    scratch.replace(path)
    if json:
        print_json({"client": client, "file": str(path)})
    else:
        out().print(f"{path} now names the server; restart {client}", markup=False)


@app.command()
def doctor(root: Root = Path(), json: Json = False) -> None:
    """Check the server, what it serves and what its jobs need; exit code 1 where something required is missing."""
    require_sdk()
    from ufos_mcp.doctor import diagnose

    checks = diagnose(root)
    missing = [c for c in checks if c.required and not c.ok]
    if json:
        print_json({"ok": not missing, "checks": [c.as_dict() for c in checks]})
    else:
        rows = [(c.name, "yes" if c.ok else "NO" if c.required else "no", c.found, c.fix) for c in checks]
        print_table("MCP server", ("check", "ok", "found", "what to do"), rows)
    if missing:
        raise RunFailedError(f"{missing[0].name}: {missing[0].found}", next_step=missing[0].fix)


@app.command()
def surface(
    write: Annotated[bool, typer.Option("--write", help="Agree to the surface as it is now.")] = False,
    json: Json = False,
) -> None:
    """Compare what the server shows to clients with what was agreed to; exit code 3 where they differ."""
    require_sdk()
    from ufos_mcp.doctor import current_surface
    from ufos_mcp.surface import PINNED_PATH, digest, require_pinned

    shown = current_surface(Path())
    if write:
        text = json_module.dumps(shown, indent=1, sort_keys=True, ensure_ascii=False) + "\n"
        PINNED_PATH.write_text(text, "utf-8")
    found = digest(shown) if write else require_pinned(shown)
    size = len(json_module.dumps(shown["tools"], separators=(",", ":")))
    facts = {"surface": found, "tools": len(shown["tools"]), "characters": size}
    if json:
        print_json(facts)
    else:
        out().print(f"{facts['tools']} tools in {size:,} characters, digest {found[:16]}")


@app.command()
def audit(
    path: Annotated[Path, typer.Argument(help="A record of calls, or the folder of records.")] = Path(
        "runs/_research/audit"
    ),
    json: Json = False,
) -> None:
    """Check that records of calls are whole; exit code 3 where one was edited, cut or reordered."""
    from ufos_nautilus.crossing.chain import verify

    files = sorted(path.glob("*.jsonl")) if path.is_dir() else [path]
    if not files or not files[0].is_file():
        raise BadInputError(f"there is no record at {path}", expected="a file or folder of records")
    reports = [(file, verify(file, need_seal=False)) for file in files]
    if json:
        rows = [{"file": f.name, "records": r.records, "sealed": r.sealed, "head": r.head} for f, r in reports]
        print_json({"records": rows})
        return
    rows = [(f.name, r.records, "yes" if r.sealed else "no", r.head[:16]) for f, r in reports]
    print_table("Records of calls, all whole", ("file", "records", "sealed", "head"), rows)


@token_app.command("new")
def token_new(
    name: Annotated[str, typer.Argument(help="Whose key it is.")],
    scope: Annotated[list[str] | None, typer.Option(help="read, run (repeatable); both unless given.")] = None,
    days: Annotated[int, typer.Option(help="How long it is good for.")] = 90,
    keys: Keys = None,
    json: Json = False,
) -> None:
    """Make a key and print it once; only its hash is kept."""
    file = _keys(keys)
    from ufos_mcp.settings import SCOPES

    secret = file.add(name, scope or list(SCOPES), days)
    if json:
        print_json({"name": name, "key": secret, "file": str(file.path)})
    else:
        out().print(f"{secret}\n\nSend it as `Authorization: Bearer ...`; it is not shown again.", highlight=False)


@token_app.command("list")
def token_list(keys: Keys = None, json: Json = False) -> None:
    """List keys; secrets are not stored."""
    rows: list[dict[str, Any]] = [
        {"name": k.name, "scopes": list(k.scopes), "expires": k.expires} for k in _keys(keys).read()
    ]
    if json:
        print_json({"keys": rows})
    else:
        print_table(
            "Keys",
            ("name", "scopes", "expires (UNIX)"),
            [(r["name"], " ".join(r["scopes"]), r["expires"]) for r in rows],
        )


@token_app.command("remove")
def token_remove(name: str, keys: Keys = None) -> None:
    """Take a key away; running servers notice with the next request."""
    _keys(keys).remove(name)
    out().print(f"{name} is gone")


def _keys(path: Path | None) -> Any:
    require_sdk()
    from ufos_mcp.main import KEYS
    from ufos_mcp.tokens import KeyFile

    return KeyFile((path or KEYS).expanduser())


def require_sdk() -> None:
    """Raise `RunFailedError` where the SDK is not installed: the folder ``mcp`` would answer for it otherwise."""
    from importlib.metadata import PackageNotFoundError, version

    try:
        version("mcp")
    except PackageNotFoundError:
        raise RunFailedError(
            "the MCP SDK is not installed", expected="the extra `mcp`", next_step="pip install 'ufos-nautilus[mcp]'"
        ) from None
