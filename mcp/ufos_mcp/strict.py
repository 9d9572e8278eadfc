"""Tools that take exactly what their schema says: no unknown keys, no text for numbers, no true for 1."""

import difflib
import json
from collections.abc import Callable
from typing import Any

from mcp.server.mcpserver.context import Context
from mcp.server.mcpserver.exceptions import ToolError, UnexpectedToolError
from mcp.server.mcpserver.tools import Tool
from mcp.server.mcpserver.utilities.func_metadata import ArgModelBase, FuncMetadata
from mcp.types import ToolAnnotations
from pydantic import BaseModel, ConfigDict, ValidationError

from ufos_mcp.plain import explain
from ufos_nautilus.errors import UfosError

READS = ToolAnnotations(read_only_hint=True, open_world_hint=False)
"""Changes nothing and reaches nothing outside."""
WRITES = ToolAnnotations(destructive_hint=False, open_world_hint=False)
"""Adds to the project's own stores and reaches nothing outside."""
PROBLEMS_SHOWN = 5
_SIZES = ("maxLength", "minLength", "maxItems", "minItems", "maxProperties", "exclusiveMaximum")


class StrictMetadata(FuncMetadata):
    """Checks arguments as strict JSON: `5` is no text, `"5"` no number, `true` no 1, and dates still parse."""

    def validate_arguments(self, arguments_to_validate: dict[str, Any]) -> dict[str, Any]:
        """Return checked arguments; `ValidationError` otherwise."""
        model = self.arg_model.model_validate_json(json.dumps(arguments_to_validate, allow_nan=False), strict=True)
        return model.model_dump_one_level()


class StrictTool(Tool):
    """A tool whose failures tell a model what to send instead."""

    async def run(self, arguments: dict[str, Any], context: Context[Any, Any], convert_result: bool = False) -> Any:
        """Run the tool.

        Raises
        ------
        ToolError
            The arguments do not fit, or the product refused the request; the text says what would be right.

        """
        try:
            self.fn_metadata.validate_arguments(arguments)
        except ValidationError as error:
            raise ToolError(f"{self.name}: {readable(error, self.fn_metadata.arg_model)}") from error
        except (ValueError, RecursionError) as error:
            raise ToolError(f"{self.name}: the arguments are no plain JSON") from error
        try:
            return await super().run(arguments, context, convert_result)
        except UnexpectedToolError as error:
            if isinstance(error.__cause__, UfosError):
                raise ToolError(f"{self.name}: {explain(error.__cause__)}") from error.__cause__
            raise


def strict_tool(
    fn: Callable[..., Any],
    *,
    description: str,
    annotations: ToolAnnotations,
    output: dict[str, Any] | None = None,
    meta: dict[str, Any] | None = None,
) -> StrictTool:
    """Return a strict tool for a function.

    Parameters
    ----------
    fn : callable
        Typed; returns a `CallToolResult`.
    description : str
        What the model reads.
    annotations : ToolAnnotations
        What it does to the world.
    output : dict, optional
        Properties of the structured result by name, as JSON Schema types; ``None`` for a result without structure.
    meta : dict, optional
        For the tool's ``_meta``.

    """
    base = Tool.from_function(fn, description=description, annotations=annotations, meta=meta, structured_output=False)
    strict = ConfigDict(extra="forbid", arbitrary_types_allowed=True)
    origin: type[ArgModelBase] = base.fn_metadata.arg_model
    model = type(origin.__name__, (origin,), {"model_config": strict, "__module__": fn.__module__})
    schema = None if output is None else {"type": "object"} | ({"properties": output} if output else {})
    fields = {name: getattr(base, name) for name in Tool.model_fields}
    fields |= {
        "fn_metadata": StrictMetadata(arg_model=model, output_schema=schema),
        "parameters": compact(model.model_json_schema(by_alias=True)),
    }
    return StrictTool(**fields)


def compact(schema: dict[str, Any]) -> dict[str, Any]:
    """Return a JSON Schema without what a model does not need to choose an argument.

    Titles, references, defaults that say nothing and generous sizes go: sizes are enforced all the same, and the error
    names them.
    """
    return _compact(schema, schema.get("$defs", {}))


def _compact(node: Any, defs: dict[str, Any]) -> Any:
    if isinstance(node, list):
        return [_compact(item, defs) for item in node]
    if not isinstance(node, dict):
        return node
    if "$ref" in node:
        target = defs[node["$ref"].rpartition("/")[2]]
        return _compact({**target, **{k: v for k, v in node.items() if k != "$ref"}}, defs)
    out: dict[str, Any] = {}
    for key, value in node.items():
        if key == "$defs" or (key == "title" and isinstance(value, str)):
            continue
        if key == "default" and (value in ("", None, [], {}) or value is False or value == 0):
            continue
        if key in _SIZES or (key == "additionalProperties" and value is True):
            continue
        if key == "minimum" and value in (0, 1):  # nobody asks for less than nothing
            continue
        if key == "properties":
            out[key] = {name: _compact(child, defs) for name, child in value.items()}
        else:
            out[key] = _compact(value, defs)
    return out


def readable(error: ValidationError, model: type[BaseModel]) -> str:
    """Return what is wrong with arguments in one line each, with the nearest valid name for an unknown one."""
    names = [f.alias or n for n, f in model.model_fields.items()]
    lines = []
    problems = error.errors(include_url=False, include_context=False)
    for item in problems[:PROBLEMS_SHOWN]:
        where = ".".join(str(part) for part in item["loc"])
        if item["type"] == "extra_forbidden" and len(item["loc"]) == 1:
            near = difflib.get_close_matches(str(item["loc"][0]), names, n=1)
            hint = f"did you mean {near[0]!r}?" if near else f"valid: {', '.join(names)}"
            lines.append(f"unknown argument {where!r}; {hint}")
            continue
        came = "" if item["type"] == "missing" else f" (came: {str(item['input'])[:60]!r})"
        lines.append(f"{where or 'arguments'}: {item['msg']}{came}")
    if len(problems) > PROBLEMS_SHOWN:
        lines.append(f"and {len(problems) - PROBLEMS_SHOWN} more")
    return "; ".join(lines)
