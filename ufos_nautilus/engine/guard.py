"""Keeps the first exception of a component: the engine logs and swallows what Python callbacks raise."""

import functools
import inspect
from collections.abc import Callable
from typing import Any

CALLBACK_PREFIX = "on_"
GUARDED_MARK = "_ufos_guarded"


class Guarded:
    """Mixin for strategies, actors and algorithms: every `on_*` callback of a subclass keeps its first exception.

    The exception is stored in `failure` and raised again, so that the engine stops too; the runner raises it from
    the run. Timer and topic handlers go through `guard`, as they are no callbacks of the class.
    """

    failure: BaseException | None = None

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        for name, value in list(vars(cls).items()):
            if name.startswith(CALLBACK_PREFIX) and inspect.isfunction(value) and not hasattr(value, GUARDED_MARK):
                setattr(cls, name, _guarded(value))

    def guard(self, handler: Callable[..., Any]) -> Callable[..., Any]:
        """Wrap a timer or topic handler the way callbacks are wrapped."""

        def guarded(*args: Any) -> Any:
            try:
                return handler(*args)
            except BaseException as error:
                if self.failure is None:
                    self.failure = error
                raise

        return guarded


def _guarded(callback: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(callback)
    def guarded(self: Guarded, *args: Any) -> Any:
        try:
            return callback(self, *args)
        except BaseException as error:
            if self.failure is None:
                self.failure = error
            raise

    setattr(guarded, GUARDED_MARK, True)
    return guarded
