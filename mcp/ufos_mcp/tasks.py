"""The tasks extension (SEP-2663): a client that knows it gets a handle for a long call and asks later."""

import secrets
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Sequence
from contextvars import ContextVar
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import anyio
import anyio.abc
from mcp.server.context import CallNext, HandlerResult, ServerRequestContext
from mcp.server.extension import Extension, MethodBinding
from mcp.server.mcpserver import require_client_extension
from mcp.server.mcpserver.context import Context
from mcp.shared.exceptions import MCPError
from mcp.types import HEADER_MISMATCH, INTERNAL_ERROR, INVALID_PARAMS, CallToolRequestParams, RequestParams
from pydantic import BaseModel, Field

from ufos_mcp.protection import too_much
from ufos_nautilus.limits import MCP_TASK_TTL_S, MCP_TASKS_MAX

EXTENSION: Final = "io.modelcontextprotocol/tasks"
VERSIONS: Final = frozenset({"2026-07-28"})
POLL_MS: Final = 200
NAME_HEADER: Final = "mcp-name"


class TaskParams(RequestParams):
    """Names a task."""

    task_id: str


class UpdateParams(TaskParams):
    """Answers to what a task asked; tasks here ask nothing."""

    input_responses: dict[str, Any] = Field(default_factory=dict)


@dataclass(slots=True, eq=False)
class Task:
    """A call that goes on after its answer."""

    id: str
    user: str
    created: datetime
    status: str = "working"
    message: str = ""
    updated: datetime = field(default_factory=lambda: datetime.now(UTC))
    result: dict[str, Any] | None = None
    error: dict[str, Any] | None = None
    scope: anyio.CancelScope = field(default_factory=anyio.CancelScope)

    def change(self, status: str, **facts: Any) -> None:
        """Change the state."""
        self.status, self.updated = status, datetime.now(UTC)
        for name, value in facts.items():
            setattr(self, name, value)

    def shown(self) -> dict[str, Any]:
        """Return the wire form."""
        out: dict[str, Any] = {
            "taskId": self.id,
            "status": self.status,
            "createdAt": _iso(self.created),
            "lastUpdatedAt": _iso(self.updated),
            "ttlMs": int(MCP_TASK_TTL_S * 1_000),
            "pollIntervalMs": POLL_MS,
        }
        if self.message:
            out["statusMessage"] = self.message
        if self.result is not None:
            out["result"] = self.result
        if self.error is not None:
            out["error"] = self.error
        return out


_current: ContextVar[Task | None] = ContextVar("ufos_mcp_task", default=None)


def patient() -> bool:
    """Tell whether the call runs as a task, so that nobody waits for its answer."""
    return _current.get() is not None


def progress_of(ctx: Context[Any, Any]) -> Callable[[float, str], Awaitable[None]]:
    """Return what tells the caller how far a job is: progress messages, or the status of the task."""
    task = _current.get()

    async def tell(share: float, text: str) -> None:
        if task is None:
            await ctx.report_progress(share, 1.0, text)
        elif task.status == "working":
            task.change("working", message=f"{share:.0%}: {text}")

    return tell


class Tasks(Extension):
    """Turns calls of slow tools into tasks, for clients that declare the extension; the others wait as before.

    Parameters
    ----------
    slow : set of str
        Tools that may become tasks.
    user_of_request : callable
        Who asks.
    required : set of str
        Tools that refuse clients without the extension.

    """

    identifier = EXTENSION

    def __init__(
        self, slow: frozenset[str], user_of_request: Callable[[], str], required: frozenset[str] = frozenset()
    ) -> None:
        self.slow, self.required, self._user = slow | required, required, user_of_request
        self._tasks: OrderedDict[str, Task] = OrderedDict()
        self._group: anyio.abc.TaskGroup | None = None

    def attach(self, group: anyio.abc.TaskGroup) -> None:
        """Say in which task group tasks live."""
        self._group = group

    def methods(self) -> Sequence[MethodBinding]:
        """Return the methods of the extension."""
        return [
            MethodBinding("tasks/get", TaskParams, self._get, protocol_versions=VERSIONS),
            MethodBinding("tasks/update", UpdateParams, self._update, protocol_versions=VERSIONS),
            MethodBinding("tasks/cancel", TaskParams, self._cancel, protocol_versions=VERSIONS),
        ]

    async def intercept_tool_call(
        self, params: CallToolRequestParams, ctx: ServerRequestContext[Any, Any], call_next: CallNext
    ) -> HandlerResult:
        """Answer a slow call with a task where the client knows tasks."""
        if params.name not in self.slow or self._group is None:
            return await call_next(ctx)
        if not _declared(ctx):
            if params.name in self.required:
                require_client_extension(ctx, EXTENSION)
            return await call_next(ctx)
        self._forget()
        if len(self._tasks) >= MCP_TASKS_MAX:
            raise too_much(f"{MCP_TASKS_MAX} tasks", 60)
        task = Task(secrets.token_urlsafe(16), self._user(), datetime.now(UTC))
        self._tasks[task.id] = task
        self._group.start_soon(self._work, task, ctx, call_next)
        return {"resultType": "task", **task.shown()}

    async def _work(self, task: Task, ctx: ServerRequestContext[Any, Any], call_next: CallNext) -> None:
        _current.set(task)
        with task.scope:
            try:
                task.change("completed", result=_dumped(await call_next(ctx)))
            except MCPError as error:
                task.change("failed", error={"code": error.error.code, "message": error.error.message})
            except Exception:
                task.change("failed", error={"code": INTERNAL_ERROR, "message": "Internal error"})
        if task.status == "working":
            task.change("cancelled")

    async def _get(self, ctx: ServerRequestContext[Any, Any], params: TaskParams) -> dict[str, Any]:
        return {"resultType": "complete", **self._find(ctx, params).shown()}

    async def _update(self, ctx: ServerRequestContext[Any, Any], params: UpdateParams) -> dict[str, Any]:
        self._find(ctx, params)
        return {"resultType": "complete"}

    async def _cancel(self, ctx: ServerRequestContext[Any, Any], params: TaskParams) -> dict[str, Any]:
        self._find(ctx, params).scope.cancel()
        return {"resultType": "complete"}

    def _find(self, ctx: ServerRequestContext[Any, Any], params: TaskParams) -> Task:
        require_client_extension(ctx, EXTENSION)
        headers = getattr(ctx.request, "headers", None)
        named = headers.get(NAME_HEADER) if headers is not None else None
        if named is not None and named != params.task_id:
            raise MCPError(HEADER_MISMATCH, "Mcp-Name names another task than the body")
        task = self._tasks.get(params.task_id)
        if task is None or task.user != self._user():
            raise MCPError(INVALID_PARAMS, "unknown task")
        return task

    def _forget(self) -> None:
        old = datetime.now(UTC) - timedelta(seconds=MCP_TASK_TTL_S)
        for task in list(self._tasks.values()):
            if task.status != "working" and task.updated < old:
                del self._tasks[task.id]


def _declared(ctx: ServerRequestContext[Any, Any]) -> bool:
    capabilities = ctx.session.client_capabilities
    return bool(capabilities and capabilities.extensions and EXTENSION in capabilities.extensions)


def _dumped(result: HandlerResult) -> dict[str, Any]:
    if isinstance(result, BaseModel):
        return result.model_dump(by_alias=True, mode="json", exclude_none=True)
    return dict(result or {})


def _iso(at: datetime) -> str:
    return at.isoformat(timespec="milliseconds").replace("+00:00", "Z")
