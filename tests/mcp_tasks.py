"""A client extension that knows tasks, for tests: it hands out the handle instead of waiting for the result."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Literal

from mcp import Client
from mcp.client.extension import ClaimContext, ClientExtension, ResultClaim
from mcp.types import CallToolResult, Request, RequestParams, Result, TextContent
from pydantic import ConfigDict

from ufos_mcp.server import create_server
from ufos_mcp.services import Services
from ufos_mcp.settings import Settings
from ufos_mcp.tasks import EXTENSION


class Handle(Result):
    """What a call that became a task is answered with."""

    model_config = ConfigDict(extra="allow")
    result_type: Literal["task"] = "task"


class TaskState(Result):
    """What a task is asked for, as it came."""

    model_config = ConfigDict(extra="allow")


class TaskParams(RequestParams):
    """Names a task."""

    model_config = ConfigDict(extra="allow")


class TaskRequest(Request[TaskParams, str]):
    """A request of the extension."""

    method: str


class KnowsTasks(ClientExtension):
    """Declares the extension and shows handles as text."""

    identifier = EXTENSION

    def claims(self) -> list[ResultClaim[Any]]:
        """Return the claim on handles."""
        return [ResultClaim(result_type="task", model=Handle, resolve=self._show)]

    async def _show(self, handle: Handle, context: ClaimContext) -> CallToolResult:
        told = handle.model_dump(by_alias=True, mode="json")
        return CallToolResult(content=[TextContent(type="text", text="task")], _meta={"task": told})


@asynccontextmanager
async def knowing_tasks(settings: Settings) -> AsyncIterator[tuple[Client, Services]]:
    """A client that knows tasks, of a server in this process."""
    server, services = create_server(settings)
    async with Client(server, extensions=[KnowsTasks()]) as client:
        yield client, services


async def call_task(client: Client, name: str, arguments: dict[str, Any]) -> dict[str, Any]:
    """Call a tool and return the handle as it came."""
    result = await client.session.call_tool(name, arguments, allow_claimed=True)
    return result.model_dump(by_alias=True, mode="json")


async def ask_task(client: Client, task_id: str, method: str = "tasks/get") -> dict[str, Any]:
    """Ask for a task, or end it."""
    request = TaskRequest(method=method, params=TaskParams.model_validate({"taskId": task_id}))
    result = await client.session.send_request(request, TaskState)
    return result.model_dump(by_alias=True, mode="json")
