"""Resource updates for both eras of the protocol: `subscriptions/listen`, and `resources/subscribe` before it."""

import logging
from collections.abc import Awaitable, Callable, Iterable
from typing import TYPE_CHECKING, Any, Final

import anyio
from mcp.server.context import ServerRequestContext
from mcp.server.subscriptions import InMemorySubscriptionBus, ResourceUpdated
from mcp.shared.exceptions import MCPError
from mcp.types import INVALID_PARAMS, EmptyResult, SubscribeRequestParams, UnsubscribeRequestParams

from ufos_nautilus.limits import MCP_SUBSCRIPTIONS_MAX

if TYPE_CHECKING:
    from ufos_mcp.market import Market

WATCH_S: Final = 1.0
UNIVERSE: Final = "financial://universe"
log = logging.getLogger(__name__)


class LegacySubscriptions:
    """Who of the handshake era waits for which resource; sessions that ended fall out when they are next told."""

    def __init__(self) -> None:
        self._by_uri: dict[str, dict[Any, Any]] = {}

    def uris(self) -> set[str]:
        """Return every URI somebody waits for."""
        return set(self._by_uri)

    def count(self) -> int:
        """Return how many subscriptions there are."""
        return sum(len(sessions) for sessions in self._by_uri.values())

    async def subscribe(self, ctx: ServerRequestContext[Any, Any], params: SubscribeRequestParams) -> EmptyResult:
        """Serve ``resources/subscribe``."""
        if self.count() >= MCP_SUBSCRIPTIONS_MAX:
            raise MCPError(INVALID_PARAMS, f"more than {MCP_SUBSCRIPTIONS_MAX} subscriptions")
        connection = _connection(ctx)
        self._by_uri.setdefault(str(params.uri), {})[id(connection)] = ctx.session
        connection.exit_stack.callback(self._forget, id(connection))
        return EmptyResult()

    async def unsubscribe(self, ctx: ServerRequestContext[Any, Any], params: UnsubscribeRequestParams) -> EmptyResult:
        """Serve ``resources/unsubscribe``."""
        sessions = self._by_uri.get(str(params.uri), {})
        sessions.pop(id(_connection(ctx)), None)
        if not sessions:
            self._by_uri.pop(str(params.uri), None)
        return EmptyResult()

    async def tell(self, uri: str) -> None:
        """Send an update to every session that waits for a resource."""
        for session in list(self._by_uri.get(uri, {}).values()):
            await session.send_resource_updated(uri)

    def _forget(self, key: int) -> None:
        for uri, sessions in list(self._by_uri.items()):
            sessions.pop(key, None)
            if not sessions:
                del self._by_uri[uri]


def _connection(ctx: ServerRequestContext[Any, Any]) -> Any:
    return ctx.session._connection  # pyright: ignore[reportPrivateUsage]  # the session object itself is made per request


async def publish(bus: InMemorySubscriptionBus, legacy: LegacySubscriptions, uris: Iterable[str]) -> None:
    """Send updates to both eras."""
    for uri in uris:
        await bus.publish(ResourceUpdated(uri=uri))
        await legacy.tell(uri)


async def watch(market: "Market", updated: Callable[..., Awaitable[None]], waiting: Callable[[], set[str]]) -> None:
    """Look at the catalogs once a second and tell who waits for the universe or for a book that they changed."""
    before = dict(market.stamps())
    while True:
        await anyio.sleep(WATCH_S)
        now = dict(await anyio.to_thread.run_sync(market.stamps))
        if now != before:
            before = now
            wanted = {u for u in waiting() if u.startswith("financial://market/book/")}
            log.info("catalogs changed")
            await updated(UNIVERSE, *sorted(wanted))
