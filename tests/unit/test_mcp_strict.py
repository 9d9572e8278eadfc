"""Arguments are taken exactly as the schema says, results mean the same to every client, foreign text is wrapped."""

import json
import math
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Annotated, Any, Literal

import pytest
from mcp.server.mcpserver import Context
from mcp.server.mcpserver.exceptions import ToolError
from mcp.types import CallToolResult
from pydantic import BaseModel, ConfigDict, Field

from tests import mcp_world
from ufos_mcp.envelope import NOTICE, foreign, visible
from ufos_mcp.plain import SAFE_INTEGER, answer, bounded_json, plain, to_json
from ufos_mcp.rules import merged
from ufos_mcp.strict import READS, compact, strict_tool
from ufos_mcp.tools.backtests import refuse_paths
from ufos_nautilus.errors import DataError, SpecError
from ufos_nautilus.limits import MCP_RESULT_BYTES_MAX

anyio_backend = mcp_world.anyio_backend


class Inner(BaseModel):
    model_config = ConfigDict(extra="forbid")
    size: int = 1


async def sample(
    name: Literal["a", "b"],
    count: Annotated[int, Field(ge=1, le=10)],
    on: date,
    amount: Decimal,
    share: float = 0.5,
    flag: bool = False,
    inner: Inner = Inner(),  # noqa: B008
    words: list[str] = [],  # noqa: B006
) -> CallToolResult:
    return answer({"count": count, "on": on, "amount": amount, "share": share, "flag": flag, "size": inner.size})


TOOL = strict_tool(sample, description="a sample", annotations=READS, output={"count": {"type": "integer"}})
GOOD: dict[str, Any] = {"name": "a", "count": 3, "on": "2024-08-09", "amount": "1.10"}


def call(arguments: dict[str, Any]) -> Any:
    return TOOL.run(arguments, Context(), convert_result=True)


@pytest.mark.anyio
async def test_what_fits_passes_and_keeps_its_exact_value():
    result = await call(GOOD | {"inner": {"size": 7}, "share": 1, "flag": True})
    assert result.structured_content == {
        "count": 3, "on": "2024-08-09", "amount": "1.10", "share": 1.0, "flag": True, "size": 7,
    }  # fmt: skip
    assert json.loads(result.content[0].text) == result.structured_content


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"count": "3"}, "count"),
        ({"count": 3.0}, "count"),
        ({"count": True}, "count"),
        ({"count": 11}, "count"),
        ({"count": None}, "count"),
        ({"flag": 1}, "flag"),
        ({"flag": "true"}, "flag"),
        ({"share": "0.5"}, "share"),
        ({"share": True}, "share"),
        ({"name": "c"}, "name"),
        ({"name": ["a"]}, "name"),
        ({"inner": {"size": "1"}}, "inner.size"),
        ({"inner": {"size": 1, "more": 2}}, "inner.more"),
        ({"inner": '{"size": 1}'}, "inner"),
        ({"words": '["x"]'}, "words"),
        ({"words": [1]}, "words.0"),
        ({"on": "yesterday"}, "on"),
        ({"confirmed": True}, "unknown argument 'confirmed'"),
        ({"cuont": 3}, "did you mean 'count'?"),
        ({"ctx": {}}, "unknown argument 'ctx'"),
    ],
    ids=str,
)
async def test_what_does_not_fit_is_refused_by_name(change, says):
    with pytest.raises(ToolError) as caught:
        await call(GOOD | change)
    assert says in str(caught.value)
    assert "pydantic" not in str(caught.value)
    assert len(str(caught.value)) < 400


@pytest.mark.anyio
async def test_missing_and_many_wrong_arguments_are_listed_shortly():
    with pytest.raises(ToolError, match=r"count: Field required.*"):
        await call({"name": "a"})
    with pytest.raises(ToolError, match="more"):
        await call({f"x{n}": n for n in range(50)})


@pytest.mark.anyio
async def test_values_json_has_no_word_for_are_refused():
    with pytest.raises(ToolError):
        await call(GOOD | {"share": math.nan})
    with pytest.raises(ToolError):
        await call(GOOD | {"count": 10**30})


def test_the_published_schema_names_everything_and_says_no_more_than_needed():
    schema = TOOL.parameters
    assert schema["additionalProperties"] is False
    assert set(schema["properties"]) == {"name", "count", "on", "amount", "share", "flag", "inner", "words"}
    assert schema["required"] == ["name", "count", "on", "amount"]
    assert schema["properties"]["count"] == {"maximum": 10, "type": "integer"}
    text = json.dumps(schema)
    assert "$ref" not in text
    assert "title" not in text
    assert compact({"properties": {"title": {"type": "string", "title": "Title"}}}) == {
        "properties": {"title": {"type": "string"}}
    }


@pytest.mark.anyio
async def test_errors_of_the_product_reach_the_caller_and_defects_do_not():
    async def refuse() -> CallToolResult:
        raise DataError("no such thing", expected="a thing", next_step="look")

    async def break_down() -> CallToolResult:
        raise RuntimeError("secret detail")

    with pytest.raises(ToolError, match=r"no such thing Expected: a thing\. Next: look"):
        await strict_tool(refuse, description="x", annotations=READS).run({}, Context())
    with pytest.raises(ToolError) as caught:
        await strict_tool(break_down, description="x", annotations=READS).run({}, Context())
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    ("value", "means"),
    [
        (math.nan, None),
        (math.inf, None),
        (-math.inf, None),
        (Decimal("NaN"), None),
        (Decimal("1E+3"), "1000"),
        (Decimal("0.10"), "0.10"),
        (SAFE_INTEGER, SAFE_INTEGER),
        (SAFE_INTEGER + 1, str(SAFE_INTEGER + 1)),
        (1795209743123456789, "1795209743123456789"),
        (datetime(2024, 8, 9, tzinfo=UTC), "2024-08-09T00:00:00Z"),
        (date(2024, 8, 9), "2024-08-09"),
        (True, True),
        ((1, {"a": math.nan}), [1, {"a": None}]),
    ],
    ids=str,
)
def test_values_as_every_client_can_read_them(value, means):
    assert plain(value) == means


def test_a_result_has_a_limit():
    with pytest.raises(ToolError, match="fewer"):
        bounded_json({"x": "y" * MCP_RESULT_BYTES_MAX}, "the result")
    assert "NaN" not in to_json({"a": [math.nan]})


HIDDEN = "ok\u202e\u200b\u2066\U000e0041\x1b[31m\x00\ue000 end"


def test_foreign_text_is_marked_and_shows_what_it_holds():
    wrapped = foreign(HIDDEN, "a test")
    assert wrapped["untrusted"] is True
    assert wrapped["notice"] == NOTICE
    assert len(wrapped["sha256"]) == 64
    assert all(ord(c) > 31 and ord(c) < 0x2000 for c in wrapped["text"])
    assert visible("two\nlines\tand a tab") == "two\nlines and a tab"
    assert len(foreign("x" * 100_000, "a test")["text"]) == 4_000


@pytest.mark.parametrize("value", ["/etc/passwd", "~/x", "../x", "a/../b", "\\\\host", {"a": [{"b": "/x"}]}, ["..", 1]])
def test_parameters_that_look_like_paths_are_refused(value):
    with pytest.raises(SpecError, match="path"):
        refuse_paths(value)


def test_parameters_that_are_no_paths_pass():
    refuse_paths({"instrument_id": "AUD/USD.SIM", "size": "1.5", "list": [1, None, True], "id": "a-b_c"})


@pytest.mark.parametrize(
    ("base", "changes", "result"),
    [
        ({"a": 1, "b": {"c": 2, "d": 3}}, {"b": {"c": 9}}, {"a": 1, "b": {"c": 9, "d": 3}}),
        ({"a": 1, "b": 2}, {"a": None}, {"b": 2}),
        ({"a": [1, 2]}, {"a": [3]}, {"a": [3]}),
        ({"a": {"x": 1}}, {"a": "text"}, {"a": "text"}),
        ({"a": "text"}, {"a": {"x": 1}}, {"a": {"x": 1}}),
        ({}, {"a": {"b": None}}, {"a": {}}),
    ],
    ids=str,
)
def test_changes_are_a_merge_patch(base, changes, result):
    before = json.dumps(base)
    assert merged(base, changes) == result
    assert json.dumps(base) == before, "the base is left alone"
