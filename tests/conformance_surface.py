"""The resources and prompts that the public conformance suite reads by name."""

import base64
import json
from typing import Any

from mcp.server import MCPServer
from mcp.server.mcpserver.prompts.base import UserMessage
from mcp.types import EmptyResult, ImageContent, InputRequest, InputRequiredResult, SetLevelRequestParams

from tests.conformance_fixtures import PNG, Ctx
from tests.conformance_fixtures import _embedded as embedded
from tests.conformance_fixtures import _form as form
from tests.conformance_fixtures import _said as said


def add_resources(server: MCPServer[Any]) -> None:
    """Add what the suite reads."""
    server.resource("test://static-text", description="text")(static_text)
    server.resource("test://static-binary", description="bytes", mime_type="image/png")(static_binary)
    server.resource("test://template/{id}/data", description="by id", mime_type="application/json")(template)
    server.resource("test://watched-resource", description="watched")(watched)


def static_text() -> str:
    """Return a text."""
    return "This is the content of the static text resource."


def static_binary() -> bytes:
    """Return bytes."""
    return base64.b64decode(PNG)


def template(id: str) -> str:
    """Return data for an id."""
    return json.dumps({"id": id, "templateTest": True, "data": f"Data for ID: {id}"})


def watched() -> str:
    """Return what can be watched."""
    return "Watched resource content"


def test_simple_prompt() -> list[UserMessage]:
    """Say something."""
    return [UserMessage("This is a simple prompt for testing.")]


def test_prompt_with_arguments(arg1: str, arg2: str) -> list[UserMessage]:
    """Say something with two arguments."""
    return [UserMessage(f"Prompt with arguments: arg1='{arg1}', arg2='{arg2}'")]


def test_prompt_with_embedded_resource(resourceUri: str) -> list[UserMessage]:
    """Show a resource."""
    content = embedded(resourceUri, "text/plain", "Embedded resource content for testing.")
    return [UserMessage(content), UserMessage("Please process the embedded resource above.")]


def test_prompt_with_image() -> list[UserMessage]:
    """Show an image."""
    image = ImageContent(type="image", data=PNG, mime_type="image/png")
    return [UserMessage(image), UserMessage("Please analyze the image above.")]


async def test_input_required_result_prompt(ctx: Ctx) -> list[UserMessage] | InputRequiredResult:
    """Ask before saying something."""
    if context := said(ctx, "user_context", "context"):
        return [UserMessage(f"Use the following context: {context}")]
    asked: dict[str, InputRequest] = {"user_context": form("What context should the prompt use?", "context")}
    return InputRequiredResult(input_requests=asked)


PROMPTS = (
    test_simple_prompt, test_prompt_with_arguments, test_prompt_with_embedded_resource, test_prompt_with_image,
    test_input_required_result_prompt,
)  # fmt: skip


def add_logging_level(server: MCPServer[Any]) -> None:
    """Accept whatever level the suite sets."""

    async def set_level(ctx: Any, params: SetLevelRequestParams) -> EmptyResult:
        return EmptyResult()

    server._lowlevel_server.add_request_handler("logging/setLevel", SetLevelRequestParams, set_level)
