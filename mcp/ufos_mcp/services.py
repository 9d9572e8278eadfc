"""What tools, resources and prompts share: one object for each server, alive while it serves."""

from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

import anyio
from anyio.abc import TaskGroup
from mcp.server.mcpserver.context import Context
from mcp.server.subscriptions import InMemorySubscriptionBus

from ufos_mcp import catalogue
from ufos_mcp.audit import Trail
from ufos_mcp.books import Books
from ufos_mcp.jobs import Jobs
from ufos_mcp.market import Market
from ufos_mcp.metrics import Metrics
from ufos_mcp.protection import MemoryGuard, Rates, Turns
from ufos_mcp.runs import Runs
from ufos_mcp.settings import Settings
from ufos_mcp.subscriptions import LegacySubscriptions, publish, watch
from ufos_mcp.workers import Helper

if TYPE_CHECKING:
    from ufos_nautilus.research.experiment_records import ToolCall
    from ufos_nautilus.research.experiments import ExperimentStore

FLUSH_S = 1.0
CALLS_UNFLUSHED_MAX = 10_000
LOCAL_USER = "local"


@dataclass(eq=False)
class Services:
    """The parts of one server.

    Parameters
    ----------
    settings : Settings
        What it may do.
    surface : str
        Digest of what it offers; known once it is assembled.

    """

    settings: Settings
    surface: str = ""
    metrics: Metrics = field(default_factory=Metrics)
    bus: InMemorySubscriptionBus = field(default_factory=InMemorySubscriptionBus)
    legacy: LegacySubscriptions = field(default_factory=LegacySubscriptions)
    calls: list["ToolCall"] = field(default_factory=list)
    listened: Counter[str] = field(default_factory=Counter)
    """URIs that listeners of the modern era wait for now."""
    trail: Trail | None = None
    _users: int = 0

    def __post_init__(self) -> None:
        s = self.settings
        self.market = Market(s.root)
        self.books = Books(self.market)
        self.runs = Runs(s.runs)
        self.memory = MemoryGuard(s.memory_share)
        self.call_rates, self.read_rates = Rates(s.calls_per_minute), Rates(s.reads_per_minute)
        self.turns = Turns(s.calls_at_once)
        environment = {"UFOS_RUNS": str(s.runs)} | s.environment
        self.helper = Helper(s.root, environment)
        self.jobs = Jobs(s.root, s.runs, environment, s.workers, self.memory)
        self.metrics.gauges |= {
            "ufos_mcp_jobs": lambda: float(self.jobs.running()),
            "ufos_mcp_memory_percent": lambda: 100 * self.memory.share(),
        }

    @cached_property
    def store(self) -> "ExperimentStore":
        """Return the experiment store, opened on first use."""
        from ufos_nautilus.research.experiments import ExperimentStore

        return ExperimentStore(self.settings.store)

    async def schemas(self) -> dict[str, Any]:
        """Return the JSON Schema of the parameters of every book class, by class path."""
        paths = sorted(book.where for book in catalogue.books().values())
        return (await self.helper.ask({"kind": "classes", "class_paths": paths}, keep=True))["schemas"]

    async def updated(self, *uris: str) -> None:
        """Tell whoever subscribed that resources changed, in both eras."""
        await publish(self.bus, self.legacy, uris)

    @asynccontextmanager
    async def alive(self, *attach: Callable[[TaskGroup], None]) -> AsyncIterator["Services"]:
        """Run what runs in the background; several connections of one process share it.

        Parameters
        ----------
        attach : callable
            Given the task group, for background work of others.

        """
        self._users += 1
        if self._users > 1:
            try:
                yield self
            finally:
                self._users -= 1
            return
        self.trail = Trail(self.settings.audit, self.surface)
        try:
            async with anyio.create_task_group() as group:
                for take in (self.jobs.attach, *attach):
                    take(group)
                for task in (self.helper.run, self._flush_calls, self._watch):
                    group.start_soon(task)
                try:
                    yield self
                finally:
                    group.cancel_scope.cancel()
        finally:
            self._users -= 1
            self._close()

    def _close(self) -> None:
        self._write_calls()
        if "store" in self.__dict__:
            self.store.close()
            del self.__dict__["store"]
        if self.trail is not None:
            self.trail.close()
            self.trail = None

    async def _watch(self) -> None:
        await watch(self.market, self.updated, lambda: self.legacy.uris() | set(self.listened))

    @contextmanager
    def listening(self, uris: Iterable[str]) -> Iterator[None]:
        """Remember which resources a listener waits for, while it does."""
        wanted = list(uris)
        self.listened.update(wanted)
        try:
            yield
        finally:
            self.listened.subtract(wanted)
            self.listened = +self.listened

    async def _flush_calls(self) -> None:
        while True:
            await anyio.sleep(FLUSH_S)
            if self.calls:
                await anyio.to_thread.run_sync(self._write_calls)

    def _write_calls(self) -> None:
        calls, self.calls = self.calls, []
        if calls:
            self.store.add_tool_calls(calls)


def services_of(ctx: Context[Any, Any]) -> Services:
    """Return the services of the server that a request reached."""
    return ctx.request_context.lifespan_context


def user_of_request() -> str:
    """Return who sent the request that is being served: the name of its key, or the local user."""
    from mcp.server.auth.middleware.auth_context import get_access_token

    token = get_access_token()
    return token.client_id if token is not None else LOCAL_USER
