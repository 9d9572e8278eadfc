"""The bridge to rule strategies: their schema and checks live with the engine, so the helper process is asked."""

from typing import TYPE_CHECKING, Any

from ufos_mcp.specs import Ask

if TYPE_CHECKING:
    from ufos_mcp.workers import Helper


class Rules:
    """Rule strategies: data that the product turns into a book.

    Parameters
    ----------
    helper : Helper
        Process that is asked.

    """

    def __init__(self, helper: "Helper") -> None:
        self._helper = helper

    async def schema(self) -> dict[str, Any]:
        """Return the JSON Schema of a rule strategy and examples."""
        return await self._helper.ask({"kind": "rule_schema"}, keep=True)

    async def checked(self, spec: dict[str, Any]) -> dict[str, Any]:
        """Return a spec with its defaults; raises where it is no valid one, naming every problem."""
        return (await self._helper.ask({"kind": "rule_check", "spec": spec}))["spec"]

    def book(self, spec: dict[str, Any], ask: Ask) -> tuple[str, dict[str, Any]]:
        """Return class path and parameters of the book that runs a spec."""
        raise NotImplementedError
