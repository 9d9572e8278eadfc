"""Books that write down who heard what, for tests of the order in which they do."""

from typing import Any, ClassVar

from nautilus_trader.model import InstrumentId
from pydantic import Field

from ufos_nautilus.engine import Book, BookConfig


class ListenerConfig(BookConfig):
    """What it hears."""

    instrument_ids: list[str] = Field(default_factory=list)
    leave_after: int = 1_000_000
    """Unsubscribe from the first instrument after so many quotes."""


class Listener(Book[ListenerConfig]):
    """Hears quotes, and once in a while asks to be called a moment later, as others do at the same time."""

    Config: ClassVar[type[BookConfig]] = ListenerConfig
    heard: ClassVar[list[tuple[str, str, int]]]

    def on_start(self) -> None:
        for name in self.params.instrument_ids:
            self.subscribe_quotes(InstrumentId.from_str(name))
        self.every("tick", 10_000_000_000, self.on_tick)
        self.quotes = 0

    def on_tick(self, event: Any) -> None:
        self.heard.append((self.book_id, "tick", event.ts_event))

    def on_quote(self, quote: Any) -> None:
        self.quotes += 1
        self.heard.append((self.book_id, str(quote.instrument_id), quote.ts_init))
        if self.quotes % 7 == 0:
            now = self.clock.timestamp_ns()
            self.at(f"later-{now}", now // 10**9 * 10**9 + 10**9, self.on_later)
        if self.quotes == self.params.leave_after:
            self.unsubscribe_quotes(InstrumentId.from_str(self.params.instrument_ids[0]))

    def on_later(self, event: Any) -> None:
        self.heard.append((self.book_id, "later", event.ts_event))
