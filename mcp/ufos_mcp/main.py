"""`ufos-mcp`: serves on standard input and output, or over HTTP."""

import argparse
import gc
import logging
import os
import signal
import sys
from collections.abc import Coroutine, Sequence
from pathlib import Path
from typing import Any

from ufos_nautilus.errors import UfosError

KEYS = Path("~/.config/ufos/mcp_keys.json")


def parser() -> argparse.ArgumentParser:
    """Return the options."""
    out = argparse.ArgumentParser(prog="ufos-mcp", description="Research over recorded markets for MCP clients.")
    out.add_argument("--root", type=Path, default=Path(os.environ.get("UFOS_ROOT", ".")), help="folder with catalogs/")
    out.add_argument("--mode", choices=["research"], default="research", help="which tools; none moves money")
    out.add_argument("--http", action="store_true", help="serve streamable HTTP instead of standard input and output")
    out.add_argument("--host", default="127.0.0.1")
    out.add_argument("--port", type=int, default=3100, help="0 takes a free one")
    out.add_argument("--socket", type=Path, help="serve on this Unix socket, in a folder of mode 0700")
    out.add_argument("--allow-host", action="append", default=[], metavar="NAME:PORT", help="name clients call it by")
    out.add_argument("--allow-origin", action="append", default=[], metavar="URL", help="web origin that may call it")
    out.add_argument("--keys", type=Path, default=KEYS, help="file of bearer keys (`ufos mcp token`)")
    out.add_argument("--no-auth", action="store_true", help="ask for no key; loopback only")
    out.add_argument("--calls-per-minute", type=int, help="of one tool by one user")
    out.add_argument("--workers", type=int, help="backtests at a time")
    out.add_argument(
        "--log", default="WARNING", choices=["DEBUG", "INFO", "WARNING", "ERROR"], help="to standard error"
    )
    return out


def main(argv: Sequence[str] | None = None) -> None:
    """Serve, and leave the process with an exit code."""
    options = parser().parse_args(argv)
    logging.basicConfig(level=options.log, format="%(levelname)s %(name)s: %(message)s", stream=sys.stderr)
    try:
        raise SystemExit(serve(options))
    except UfosError as error:
        print(f"error: {error}", file=sys.stderr)
        raise SystemExit(error.exit_code) from None


def serve(options: argparse.Namespace) -> int:
    """Serve as the options say."""
    gc.disable()  # importing makes millions of objects and no garbage; this takes a third off the start
    import anyio

    from ufos_mcp.server import create_server
    from ufos_mcp.settings import Settings
    from ufos_mcp.surface import require_pinned, surface

    changes = {k: v for k in ("calls_per_minute", "workers") if (v := getattr(options, k)) is not None}
    settings = Settings.of(options.root, **changes)
    http, extra = _http(options)
    server, services = create_server(settings, **extra)
    gc.freeze()
    gc.enable()

    async def run() -> None:
        services.surface = require_pinned(await surface(server))
        if http is None:
            from ufos_mcp.stdio import serve_stdio

            await until_asked(serve_stdio(server))
        else:
            from ufos_mcp.http import serve_http

            await serve_http(server, services, http, lambda at: print(f"serving at {at}", file=sys.stderr, flush=True))

    try:
        anyio.run(run)
    except KeyboardInterrupt:
        return 130
    return 0


async def until_asked(serving: Coroutine[Any, Any, None]) -> None:
    """Serve until it ends or the process is asked to end; jobs and records are closed in order either way."""
    import anyio

    async with anyio.create_task_group() as group:

        async def wait() -> None:
            with anyio.open_signal_receiver(signal.SIGTERM, signal.SIGINT) as signals:
                async for _ in signals:
                    group.cancel_scope.cancel()
                    return

        group.start_soon(wait)
        await serving
        group.cancel_scope.cancel()


def _http(options: argparse.Namespace) -> tuple[Any, dict[str, Any]]:
    if not options.http and options.socket is None:
        return None, {}
    from ufos_mcp.http import Http, auth_settings
    from ufos_mcp.tokens import KeyFile
    from ufos_nautilus.errors import SpecError

    keys = None
    if not options.no_auth and options.socket is None:
        keys = KeyFile(options.keys.expanduser())
        if not keys.read():
            raise SpecError(
                f"there is no key in {keys.path}",
                expected="a key for each client",
                next_step="`ufos mcp token new NAME`, or --no-auth on loopback, or --socket",
            )
    http = Http(
        host=options.host, port=options.port, socket=options.socket, hosts=options.allow_host,
        origins=options.allow_origin, keys=keys,
    )  # fmt: skip
    return http, {"auth": auth_settings(http)}
