"""Streamable HTTP, on a port or a Unix socket, with the checks that belong in front of it."""

import ipaddress
import os
import signal
import time
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import anyio
from mcp.server import MCPServer
from mcp.server.auth.settings import AuthSettings
from mcp.server.transport_security import TransportSecurityMiddleware, TransportSecuritySettings
from pydantic import AnyHttpUrl
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ufos_mcp.services import Services
from ufos_mcp.tokens import KeyFile, Verifier
from ufos_nautilus.errors import SpecError
from ufos_nautilus.limits import MCP_BODY_S, MCP_MESSAGE_BYTES_MAX

PATH: Final = "/mcp"
PORT: Final = 3100
LOOPBACK: Final = ("127.0.0.1", "localhost", "[::1]")
CONNECTIONS_MAX: Final = 1_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Http:
    """How to serve over HTTP.

    Parameters
    ----------
    host, port : str, int
        Where to listen; port 0 takes a free one.
    socket : Path, optional
        A Unix socket instead.
    hosts : sequence of str
        Further names by which clients may call the server, with ports.
    origins : sequence of str
        Web origins that may call it; none besides loopback unless named.
    keys : KeyFile, optional
        Bearer keys; None asks for none.

    """

    host: str = "127.0.0.1"
    port: int = PORT
    socket: Path | None = None
    hosts: Sequence[str] = ()
    origins: Sequence[str] = ()
    keys: KeyFile | None = None

    def __post_init__(self) -> None:
        if self.socket is None and not loopback(self.host):
            if self.keys is None:
                raise SpecError(
                    f"{self.host} is reached from elsewhere", expected="bearer keys", next_step="ufos mcp token"
                )
            if not self.hosts:
                raise SpecError(f"{self.host} needs the names clients call it by", expected="--allow-host NAME:PORT")

    def security(self) -> TransportSecuritySettings:
        """Return which Host and Origin headers pass."""
        names = [f"{name}:*" for name in LOOPBACK] + (["localhost"] if self.socket is not None else [])
        origins = [f"http://{name}:*" for name in LOOPBACK]
        return TransportSecuritySettings(allowed_hosts=[*names, *self.hosts], allowed_origins=[*origins, *self.origins])


def loopback(host: str) -> bool:
    """Tell whether a name or address is this machine's own."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def auth_settings(http: Http) -> dict[str, Any]:
    """Return what the SDK's server needs to ask for keys; nothing where none are asked for."""
    if http.keys is None:
        return {}
    # There is no authorization server: keys are made by `ufos mcp token`, so no metadata is published either.
    issuer = AnyHttpUrl(f"http://{http.host}:{http.port}")
    settings = AuthSettings(issuer_url=issuer, resource_server_url=None, required_scopes=[])
    return {"token_verifier": Verifier(http.keys), "auth": settings}


def app_of(server: MCPServer[Any], services: Services, http: Http, **extra: Any) -> ASGIApp:
    """Return the application: the protocol at /mcp, /health and /metrics beside it."""

    @server.custom_route("/health", methods=["GET"])
    async def health(_: Request) -> Response:
        share = services.memory.share()
        short = share > services.settings.memory_share
        facts = {
            "status": "short of memory" if short else "ok",
            "version": server.version,
            "surface": services.surface,
            "up_s": round(services.metrics.up_s()),
            "jobs": services.jobs.running(),
            "memory": round(share, 3),
        }
        return JSONResponse(facts, status_code=503 if short else 200)

    @server.custom_route("/metrics", methods=["GET"])
    async def metrics(request: Request) -> Response:
        if http.keys is not None and "read" not in request.auth.scopes:
            return PlainTextResponse("a key with the scope 'read' is needed", status_code=401)
        return PlainTextResponse(services.metrics.text(), media_type="text/plain; version=0.0.4")

    app = server.streamable_http_app(
        streamable_http_path=PATH,
        transport_security=http.security(),
        max_request_body_size=MCP_MESSAGE_BYTES_MAX,
        host=http.host,
        **extra,
    )
    return Front(app, http.security())


class Front:
    """Checks what the SDK leaves out: Host and Origin on every path, and how long a body may take.

    Parameters
    ----------
    app : ASGIApp
        What is behind.
    security : TransportSecuritySettings
        Which headers pass.

    """

    def __init__(self, app: ASGIApp, security: TransportSecuritySettings) -> None:
        self._app = app
        self._check = TransportSecurityMiddleware(security)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        refused = await self._check.validate_request(Request(scope), is_post=False)
        if refused is not None:
            await refused(scope, receive, send)
            return
        until = time.monotonic() + MCP_BODY_S
        whole = False

        async def in_time() -> Message:
            nonlocal whole
            if whole:  # after the body only a disconnect can come, whenever that is
                return await receive()
            with anyio.move_on_after(until - time.monotonic()):
                message = await receive()
                whole = message["type"] != "http.request" or not message.get("more_body", False)
                return message
            return {"type": "http.disconnect"}

        await self._app(scope, in_time, send)


async def serve_http(server: MCPServer[Any], services: Services, http: Http, ready: Any = None, **extra: Any) -> None:
    """Serve until the task is cancelled or the process is asked to end.

    Parameters
    ----------
    server, services
        From `create_server`, with `auth_settings` where keys are asked for.
    http : Http
        Where and for whom.
    ready : callable, optional
        Called with the address once connections are taken.
    extra
        For the SDK's application, such as an event store.

    """
    import uvicorn

    app = app_of(server, services, http, **extra)
    if http.socket is not None:
        folder = http.socket.parent
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        if folder.stat().st_mode & 0o077:
            raise SpecError(f"others can reach {folder}", expected="a folder of its owner alone (mode 0700)")
        where: dict[str, Any] = {"uds": str(http.socket)}
    else:
        where = {"host": http.host, "port": http.port}
    config = uvicorn.Config(
        app, log_level="warning", limit_concurrency=CONNECTIONS_MAX, timeout_graceful_shutdown=2, **where
    )
    uvicorn_server = uvicorn.Server(config)
    # Its own handling would end the process by the signal before records are sealed.
    uvicorn_server.capture_signals = nullcontext  # pyright: ignore[reportAttributeAccessIssue]
    async with anyio.create_task_group() as group:

        async def end() -> None:
            with anyio.open_signal_receiver(signal.SIGTERM, signal.SIGINT) as signals:
                async for _ in signals:
                    uvicorn_server.should_exit = True

        async def tell() -> None:
            while not uvicorn_server.started:
                await anyio.sleep(0.01)
            if ready is not None:
                ready(_address(uvicorn_server, http))

        group.start_soon(end)
        group.start_soon(tell)
        await uvicorn_server.serve()
        group.cancel_scope.cancel()
    if http.socket is not None and http.socket.exists():
        os.unlink(http.socket)


def _address(server: Any, http: Http) -> str:
    if http.socket is not None:
        return f"unix:{http.socket}"
    port = server.servers[0].sockets[0].getsockname()[1]
    return f"http://{http.host}:{port}{PATH}"
