"""An actor that tells desks at given times what they may do, and one that keeps what was published."""

from typing import Any, ClassVar

from pydantic import Field

from ufos_nautilus.engine import Actor, ActorConfig
from ufos_strategies.desk.modes import Mode, SetMode, mode_topic

NS_PER_S = 1_000_000_000


class MessengerConfig(ActorConfig):
    """Modes as (seconds after the start, mode)."""

    book: str = "MM-SIM"
    modes: list[tuple[float, Mode]] = Field(default_factory=list)


class Messenger(Actor[MessengerConfig]):
    """Publishes its modes at their times."""

    Config: ClassVar[type[ActorConfig]] = MessengerConfig

    def on_start(self) -> None:
        start = self.clock.timestamp_ns()
        for i, (seconds, mode) in enumerate(self.params.modes):
            self.clock.set_time_alert_ns(f"mode-{i}", start + int(seconds * NS_PER_S), self.guard(self._tell(mode)))

    def _tell(self, mode: Mode) -> Any:
        return lambda _: self.publish_message(mode_topic(self.params.book), SetMode(mode, "a test says so"))


class FailingActor(Actor[ActorConfig]):
    """Raises when it starts."""

    def on_start(self) -> None:
        raise ZeroDivisionError("raised on purpose")
