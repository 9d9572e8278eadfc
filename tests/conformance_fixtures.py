"""The tools, prompts and resources that the public conformance suite calls by name, mounted on our server factory."""

import base64
import json
from typing import Annotated, Any

import anyio
from mcp.server import MCPServer
from mcp.server.mcpserver import Context
from mcp.server.mcpserver.prompts import Prompt
from mcp.shared.exceptions import MCPError
from mcp.types import (
    MISSING_REQUIRED_CLIENT_CAPABILITY,
    AudioContent,
    CreateMessageRequest,
    CreateMessageRequestParams,
    CreateMessageResult,
    ElicitRequest,
    ElicitRequestFormParams,
    ElicitResult,
    EmbeddedResource,
    ImageContent,
    InputRequest,
    InputRequiredResult,
    ListRootsRequest,
    ListRootsResult,
    SamplingMessage,
    TextContent,
    TextResourceContents,
)
from pydantic import BaseModel, Field

from tests.conformance_schema import SCHEMA_2020_12
from ufos_mcp.chart.png import Canvas
from ufos_mcp.strict import WRITES, strict_tool
from ufos_mcp.tasks import Tasks

PNG = base64.b64encode(Canvas(1, 1).png()).decode()
WAV = base64.b64encode(
    b"RIFF\x24\0\0\0WAVEfmt \x10\0\0\0\1\0\1\0\x40\x1f\0\0\x80\x3e\0\0\2\0\x10\0data\0\0\0\0"
).decode()
Ctx = Context[Any, Any]


def mount(server: MCPServer[Any], tasks: Tasks) -> None:
    """Add everything the suite asks for."""
    from tests.conformance_surface import PROMPTS, add_logging_level, add_resources

    for fn in (*PLAIN_TOOLS, *ASKING_TOOLS, *TASK_TOOLS):
        _add(server, fn)
    tasks.slow |= {"slow_compute", "failing_job", "protocol_error_job"}
    tasks.required |= {"failing_job"}
    schema_tool = _add(server, json_schema_2020_12_tool)
    schema_tool.parameters = SCHEMA_2020_12
    _changes(server)
    add_resources(server)
    for prompt in PROMPTS:
        server.add_prompt(Prompt.from_function(prompt))
    add_logging_level(server)


def _add(server: MCPServer[Any], fn: Any) -> Any:
    tool = strict_tool(fn, description=fn.__doc__ or "", annotations=WRITES)
    server._tool_manager._tools[tool.name] = tool
    return tool


def test_simple_text() -> str:
    """Answer with a text."""
    return "This is a simple text response for testing."


def test_image_content() -> list[ImageContent]:
    """Answer with an image."""
    return [ImageContent(type="image", data=PNG, mime_type="image/png")]


def test_audio_content() -> list[AudioContent]:
    """Answer with a sound."""
    return [AudioContent(type="audio", data=WAV, mime_type="audio/wav")]


def _embedded(uri: str, mime_type: str, text: str) -> EmbeddedResource:
    return EmbeddedResource(type="resource", resource=TextResourceContents(uri=uri, mime_type=mime_type, text=text))


def test_embedded_resource() -> list[EmbeddedResource]:
    """Answer with a resource."""
    return [_embedded("test://embedded-resource", "text/plain", "This is an embedded resource content.")]


def test_multiple_content_types() -> list[TextContent | ImageContent | EmbeddedResource]:
    """Answer with a text, an image and a resource."""
    return [
        TextContent(type="text", text="Multiple content types test:"),
        ImageContent(type="image", data=PNG, mime_type="image/png"),
        _embedded("test://mixed-content-resource", "application/json", '{"test": "data", "value": 123}'),
    ]


async def test_tool_with_logging(ctx: Ctx) -> str:
    """Log three times on the way."""
    for text in ("Tool execution started", "Tool processing data", "Tool execution completed"):
        await ctx.info(text)
        await anyio.sleep(0.05)
    return "logged"


async def test_logging_tool(ctx: Ctx) -> str:
    """Log once; a client that asked for no log hears nothing."""
    await ctx.info("a message of the log")
    return "logged"


async def test_tool_with_progress(ctx: Ctx) -> str:
    """Report progress three times."""
    for done in (0, 50, 100):
        await ctx.report_progress(done, 100, f"Completed step {done} of 100")
        await anyio.sleep(0.05)
    return str((ctx.request_context.meta or {}).get("progress_token"))


async def test_sampling(prompt: str, ctx: Ctx) -> str:
    """Ask the client's model."""
    answer = await ctx.session.create_message(
        messages=[SamplingMessage(role="user", content=TextContent(type="text", text=prompt))],
        max_tokens=100,
        related_request_id=ctx.request_id,
    )
    return f"LLM response: {answer.content.text if answer.content.type == 'text' else ''}"


class Answer(BaseModel):
    """What a user is asked for."""

    response: str = Field(description="The user's response")


async def test_elicitation(message: str, ctx: Ctx) -> str:
    """Ask the user."""
    answer = await ctx.elicit(message, Answer)
    said = answer.data.model_dump_json() if answer.action == "accept" else "{}"
    return f"User response: action={answer.action}, content={said}"


class Defaults(BaseModel):
    """One field of each kind with a default."""

    name: str = "John Doe"
    age: int = 30
    score: float = 95.5
    status: str = Field(default="active", json_schema_extra={"enum": ["active", "inactive", "pending"]})
    verified: bool = True


async def test_elicitation_sep1034_defaults(ctx: Ctx) -> str:
    """Ask with defaults."""
    answer = await ctx.elicit("Please review", Defaults)
    said = answer.data.model_dump_json() if answer.action == "accept" else "{}"
    return f"Elicitation completed: action={answer.action}, content={said}"


def _choice(values: dict[str, str], titled: str) -> dict[str, Any]:
    return {titled: [{"const": value, "title": title} for value, title in values.items()]}


OPTIONS = {"value1": "First Option", "value2": "Second Option", "value3": "Third Option"}


class Choices(BaseModel):
    """Every way to offer a choice."""

    untitledSingle: str = Field(json_schema_extra={"enum": ["option1", "option2", "option3"]})
    titledSingle: str = Field(json_schema_extra=_choice(OPTIONS, "oneOf"))
    legacyEnum: str = Field(
        json_schema_extra={"enum": ["opt1", "opt2", "opt3"], "enumNames": ["Option One", "Option Two", "Option Three"]}
    )
    untitledMulti: list[str] = Field(
        json_schema_extra={"items": {"type": "string", "enum": ["option1", "option2", "option3"]}}
    )
    titledMulti: list[str] = Field(json_schema_extra={"items": _choice(OPTIONS, "anyOf")})


async def test_elicitation_sep1330_enums(ctx: Ctx) -> str:
    """Ask with choices."""
    answer = await ctx.elicit("Please choose", Choices)
    said = answer.data.model_dump_json() if answer.action == "accept" else "{}"
    return f"Elicitation completed: action={answer.action}, content={said}"


def test_error_handling() -> str:
    """Fail."""
    raise RuntimeError("This tool intentionally returns an error for testing")


def test_x_mcp_header(
    region: Annotated[str, Field(json_schema_extra={"x-mcp-header": "Region"})] = "none",
) -> str:
    """Take an argument that clients repeat in a header."""
    return f"region={region}"


def test_missing_capability(ctx: Ctx) -> str:
    """Refuse clients that cannot sample."""
    capabilities = ctx.session.client_capabilities
    if capabilities is None or capabilities.sampling is None:
        data = {"requiredCapabilities": {"sampling": {}}}
        raise MCPError(MISSING_REQUIRED_CLIENT_CAPABILITY, "the client must be able to sample", data)
    return "the client can sample"


async def test_reconnection(ctx: Ctx) -> str:
    """Close the stream on the way; the client comes back for the rest."""
    await ctx.info("before")
    await ctx.close_sse_stream()
    await anyio.sleep(0.2)
    await ctx.info("after")
    return "Reconnection test completed"


def json_schema_2020_12_tool() -> str:
    """Have a schema with every keyword of JSON Schema 2020-12 that must survive."""
    return "json_schema_2020_12_tool"


PLAIN_TOOLS = (
    test_simple_text, test_image_content, test_audio_content, test_embedded_resource, test_multiple_content_types,
    test_tool_with_logging, test_logging_tool, test_tool_with_progress, test_sampling, test_elicitation,
    test_elicitation_sep1034_defaults, test_elicitation_sep1330_enums, test_error_handling, test_x_mcp_header,
    test_missing_capability, test_reconnection,
)  # fmt: skip


def _form(message: str, field: str, kind: str = "string") -> ElicitRequest:
    schema = {"type": "object", "properties": {field: {"type": kind}}, "required": [field]}
    return ElicitRequest(params=ElicitRequestFormParams(message=message, requested_schema=schema))


def _sample(text: str, max_tokens: int) -> CreateMessageRequest:
    message = SamplingMessage(role="user", content=TextContent(type="text", text=text))
    return CreateMessageRequest(params=CreateMessageRequestParams(messages=[message], max_tokens=max_tokens))


def _said(ctx: Ctx, key: str, field: str) -> str | None:
    answer = (ctx.input_responses or {}).get(key)
    if isinstance(answer, ElicitResult) and answer.content:
        return str(answer.content.get(field))
    return None


def _text(ctx: Ctx, key: str) -> str | None:
    answer = (ctx.input_responses or {}).get(key)
    if isinstance(answer, CreateMessageResult) and answer.content.type == "text":
        return answer.content.text
    return None


def _roots(ctx: Ctx, key: str) -> str | None:
    answer = (ctx.input_responses or {}).get(key)
    return str([str(r.uri) for r in answer.roots]) if isinstance(answer, ListRootsResult) else None


async def test_input_required_result_elicitation(ctx: Ctx) -> str | InputRequiredResult:
    """Ask for a name, by return."""
    name = _said(ctx, "user_name", "name")
    return f"Hello, {name}!" if name else InputRequiredResult(
        input_requests={"user_name": _form("What is your name?", "name")}
    )  # fmt: skip


async def test_input_required_result_sampling(ctx: Ctx) -> str | InputRequiredResult:
    """Ask the client's model, by return."""
    said = _text(ctx, "capital_question")
    asked: dict[str, InputRequest] = {"capital_question": _sample("What is the capital of France?", 100)}
    return f"the model said {said}" if said else InputRequiredResult(input_requests=asked)


async def test_input_required_result_list_roots(ctx: Ctx) -> str | InputRequiredResult:
    """Ask for the roots, by return."""
    roots = _roots(ctx, "client_roots")
    return f"roots {roots}" if roots else InputRequiredResult(input_requests={"client_roots": ListRootsRequest()})


async def test_input_required_result_request_state(ctx: Ctx) -> str | InputRequiredResult:
    """Carry a state from one round to the next."""
    if ctx.request_state == "waiting" and _said(ctx, "confirm", "ok") is not None:
        return "state-ok"
    asked: dict[str, InputRequest] = {"confirm": _form("Please confirm", "ok", "boolean")}
    return InputRequiredResult(input_requests=asked, request_state="waiting")


async def test_input_required_result_multiple_inputs(ctx: Ctx) -> str | InputRequiredResult:
    """Ask for three things at once."""
    name, greeting, roots = _said(ctx, "user_name", "name"), _text(ctx, "greeting"), _roots(ctx, "client_roots")
    if name and greeting and roots:
        return f"{greeting}, {name}, of {roots}"
    asked: dict[str, InputRequest] = {
        "user_name": _form("What is your name?", "name"),
        "greeting": _sample("Generate a greeting", 50),
        "client_roots": ListRootsRequest(),
    }
    return InputRequiredResult(input_requests=asked, request_state="three")


async def test_input_required_result_multi_round(ctx: Ctx) -> str | InputRequiredResult:
    """Ask twice, one after the other."""
    state = json.loads(ctx.request_state or "{}")
    if state.get("round") == 2 and (colour := _said(ctx, "step2", "color")):
        return f"{state['name']} likes {colour}"
    if state.get("round") == 1 and (name := _said(ctx, "step1", "name")):
        asked: dict[str, InputRequest] = {"step2": _form("Step 2: What is your favorite color?", "color")}
        return InputRequiredResult(input_requests=asked, request_state=json.dumps({"round": 2, "name": name}))
    first: dict[str, InputRequest] = {"step1": _form("Step 1: What is your name?", "name")}
    return InputRequiredResult(input_requests=first, request_state=json.dumps({"round": 1}))


async def test_input_required_result_tampered_state(ctx: Ctx) -> str | InputRequiredResult:
    """Hand out a state that must come back unchanged."""
    if ctx.request_state is None:
        asked: dict[str, InputRequest] = {"confirm": _form("Please confirm", "ok", "boolean")}
        return InputRequiredResult(input_requests=asked, request_state="sealed")
    return f"state {ctx.request_state}"


async def test_input_required_result_capabilities(ctx: Ctx) -> InputRequiredResult:
    """Ask only for what the client can give."""
    can = ctx.client_capabilities
    asked: dict[str, InputRequest] = {}
    if can is None or can.sampling is not None:
        asked["sample"] = _sample("Say hello", 50)
    if can is None or can.elicitation is not None:
        asked["ask"] = _form("What is your name?", "name")
    return InputRequiredResult(input_requests=asked, request_state="asked")


async def test_streaming_elicitation(ctx: Ctx) -> str | InputRequiredResult:
    """Report progress, then ask."""
    await ctx.report_progress(1, 2, "about to ask")
    name = _said(ctx, "user_name", "name")
    return name or InputRequiredResult(input_requests={"user_name": _form("What is your name?", "name")})


ASKING_TOOLS = (
    test_input_required_result_elicitation, test_input_required_result_sampling, test_input_required_result_list_roots,
    test_input_required_result_request_state, test_input_required_result_multiple_inputs,
    test_input_required_result_multi_round, test_input_required_result_tampered_state,
    test_input_required_result_capabilities, test_streaming_elicitation,
)  # fmt: skip


def greet(name: str) -> str:
    """Greet."""
    return f"Hello, {name}!"


async def slow_compute(seconds: float, label: str = "") -> str:
    """Take a while."""
    await anyio.sleep(seconds)
    return f"{label} done after {seconds:g} s"


async def failing_job() -> str:
    """Fail after a while."""
    await anyio.sleep(1)
    raise RuntimeError("this job fails on purpose")


async def protocol_error_job() -> str:
    """Fail as the protocol has it."""
    raise MCPError(-32603, "this job breaks on purpose")


TASK_TOOLS = (greet, slow_compute, failing_job, protocol_error_job)


def _changes(server: MCPServer[Any]) -> None:
    async def test_trigger_tool_change(ctx: Ctx) -> str:
        """Change the list of tools and back."""
        server.add_tool(greet, name="test_dynamic_tool")
        server.remove_tool("test_dynamic_tool")
        await ctx.notify_tools_changed()
        return "changed"

    async def test_trigger_prompt_change(ctx: Ctx) -> str:
        """Change the list of prompts and back."""
        from tests.conformance_surface import test_simple_prompt

        server.add_prompt(Prompt.from_function(test_simple_prompt, name="test_dynamic_prompt"))
        server.remove_prompt("test_dynamic_prompt")
        await ctx.notify_prompts_changed()
        return "changed"

    for fn in (test_trigger_tool_change, test_trigger_prompt_change):
        _add(server, fn)
