"""Books that raise: in a callback, in a timer, in a message handler."""

from typing import Any, ClassVar

from nautilus_trader.model import InstrumentId
from pydantic import Field

from ufos_nautilus.engine import Book, BookConfig


class FailingConfig(BookConfig):
    """Where to raise."""

    where: str = Field(default="quote", pattern="^(quote|timer|topic|start)$")
    instrument_id: str = "SIM-PERP.SIM"


class FailingBook(Book[FailingConfig]):
    """Raises ZeroDivisionError at the third event of the kind its config names."""

    Config: ClassVar[type[BookConfig]] = FailingConfig

    def __init__(self, config: FailingConfig) -> None:
        super().__init__(config)
        self.events = 0

    def on_start(self) -> None:
        self.subscribe_quotes(InstrumentId.from_str(self.params.instrument_id))
        self.every("tick", 1_000_000_000, self.on_tick)
        self.listen("test.topic", self.on_message)
        self._count("start", 1)

    def on_quote(self, quote: Any) -> None:
        self.publish_message("test.topic", quote.ts_init)
        self._count("quote", 3)

    def on_tick(self, event: Any) -> None:
        self._count("timer", 3)

    def on_message(self, message: Any) -> None:
        self._count("topic", 3)

    def _count(self, where: str, limit: int) -> None:
        if where == self.params.where:
            self.events += 1
            if self.events >= limit:
                raise ZeroDivisionError("raised on purpose")
