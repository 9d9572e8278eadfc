"""The one door every message passes: scopes, rates, turns, and the record of what was asked and how it ended."""

import difflib
import logging
import time
from collections.abc import Mapping
from contextlib import AsyncExitStack
from typing import Any, Final

from mcp.server.auth.middleware.auth_context import get_access_token
from mcp.server.context import CallNext, HandlerResult, ServerRequestContext
from mcp.shared.exceptions import MCPError
from mcp.types import INTERNAL_ERROR, INVALID_PARAMS
from mcp.types.methods import SPEC_CLIENT_METHODS

from ufos_mcp.audit import described
from ufos_mcp.protection import not_permitted
from ufos_mcp.services import CALLS_UNFLUSHED_MAX, Services, user_of_request
from ufos_mcp.settings import Scope

log = logging.getLogger(__name__)

NOT_RECORDED: Final = frozenset(
    {
        "ping", "initialize", "server/discover", "tools/list", "resources/list", "resources/templates/list",
        "prompts/list", "completion/complete", "logging/setLevel",
    }
)  # fmt: skip
"""Requests that ask for nothing of anybody's; they count against the rate but are not in the record."""
_METHODS: Final = frozenset(SPEC_CLIENT_METHODS) | {"tasks/get", "tasks/cancel", "tasks/update"}
UNLIMITED: Final = frozenset({"ping", "initialize", "server/discover", "subscriptions/listen"})


class Guard:
    """Middleware around every inbound message.

    Parameters
    ----------
    services : Services
        Of the server.
    scopes : mapping of str to Scope
        Tool -> what a key must allow.

    """

    def __init__(self, services: Services, scopes: Mapping[str, Scope]) -> None:
        self._services, self._scopes = services, scopes

    async def __call__(self, ctx: ServerRequestContext[Any, Any], call_next: CallNext) -> HandlerResult:
        """Let a message through, or refuse it; either way it is recorded."""
        if ctx.request_id is None:
            return await call_next(ctx)
        user, name = user_of_request(), _name(ctx)
        began = time.perf_counter()
        outcome = "cancelled"
        try:
            async with AsyncExitStack() as stack:
                await self._admit(ctx, user, name, stack)
                result = await call_next(ctx)
            outcome = "error" if isinstance(result, dict) and result.get("isError") else "ok"
            return result
        except MCPError as error:
            outcome = f"refused {error.error.code}"
            raise
        except ValueError as error:
            outcome = f"refused {INVALID_PARAMS}"
            if ctx.method == "prompts/get":  # a bad argument is the caller's fault, not a defect
                raise MCPError(INVALID_PARAMS, str(error)) from error
            raise
        except Exception:
            outcome = f"failed {INTERNAL_ERROR}"
            raise
        finally:
            self._note(ctx, user, name, outcome, (time.perf_counter() - began) * 1e3)

    async def _admit(self, ctx: ServerRequestContext[Any, Any], user: str, name: str, stack: AsyncExitStack) -> None:
        services = self._services
        if ctx.method != "tools/call":
            self._require_scope("read", ctx.method)
            if ctx.method not in UNLIMITED:
                services.read_rates.require(user)
            if ctx.method == "subscriptions/listen":
                stack.enter_context(services.listening(_listened(ctx.params)))
            return
        if name not in self._scopes:
            services.read_rates.require(user)
            near = difflib.get_close_matches(name, list(self._scopes), n=1)
            hint = f"; did you mean {near[0]!r}?" if near else ""
            raise MCPError(INVALID_PARAMS, f"Unknown tool: {name[:80]!r}{hint}")
        self._require_scope(self._scopes[name], f"the tool {name}")
        services.call_rates.require(user, name)
        await stack.enter_async_context(services.turns.turn(user))

    def _require_scope(self, scope: Scope, what: str) -> None:
        token = get_access_token()
        if token is not None and scope not in token.scopes:
            raise not_permitted(what, scope)

    def _known(self, name: str, *, tool: bool) -> str:
        """Return a name for the figures; names nobody offers would let a caller grow the table without end."""
        known = name in self._scopes if tool else name in _METHODS
        return name if known else f"unknown {'tool' if tool else 'method'}"

    def _note(
        self, ctx: ServerRequestContext[Any, Any], user: str, name: str, outcome: str, duration_ms: float
    ) -> None:
        services = self._services
        tool = ctx.method == "tools/call"
        services.metrics.add(self._known(name, tool=tool), outcome, duration_ms)
        if ctx.method in NOT_RECORDED and not outcome.startswith("refused"):
            return
        if services.trail is not None:
            params = ctx.params or {}
            asked = {k: v for k, v in params.items() if k != "_meta"}
            services.trail.write(
                "call",
                request=str(ctx.request_id)[:80],
                user=user,
                client=_client(ctx),
                method=ctx.method,
                name=name[:120],
                outcome=outcome,
                ms=round(duration_ms, 3),
                **described(asked),
            )
        if tool and name in self._scopes and len(services.calls) < CALLS_UNFLUSHED_MAX:
            from ufos_nautilus.research.experiment_records import ToolCall

            request = str(ctx.request_id)[:80]
            services.calls.append(
                ToolCall(request=request, user=user, tool=name[:80], outcome=outcome, duration_ms=round(duration_ms, 3))
            )


def _name(ctx: ServerRequestContext[Any, Any]) -> str:
    if ctx.method == "tools/call":
        return str((ctx.params or {}).get("name", ""))
    return ctx.method


def _listened(params: Mapping[str, Any] | None) -> list[str]:
    wanted = ((params or {}).get("notifications") or {}).get("resourceSubscriptions") or []
    return [str(uri)[:500] for uri in wanted[:1_000]] if isinstance(wanted, list) else []


def _client(ctx: ServerRequestContext[Any, Any]) -> str:
    params = ctx.session.client_params
    info = params.client_info if params is not None else None
    return f"{info.name} {info.version}"[:120] if info is not None else ""


def client_of(ctx: ServerRequestContext[Any, Any]) -> str:
    """Return name and version of the client program that sent a request, as it states them."""
    return _client(ctx)
