"""Keeps the first exception of a component: the engine logs and swallows what Python callbacks raise."""

import functools
import inspect
from collections.abc import Callable
from typing import Any

CALLBACK_PREFIX = "on_"
GUARDED_MARK = "_ufos_guarded"
ARGUMENTS_OF_DATA_CALLBACKS = 2
"""The component and the event."""
POSITIONAL = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)


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

    def guard(self, handler: Callable[[Any], Any]) -> Callable[[Any], Any]:
        """Wrap a timer or topic handler, which takes one event or message, the way callbacks are wrapped."""

        def guarded(message: Any) -> Any:
            try:
                return handler(message)
            except BaseException as error:
                if self.failure is None:
                    self.failure = error
                raise

        return guarded


def _guarded(callback: Callable[..., Any]) -> Callable[..., Any]:
    parameters = list(inspect.signature(callback).parameters.values())
    takes_event = len(parameters) == ARGUMENTS_OF_DATA_CALLBACKS and parameters[1].kind in POSITIONAL
    guarded = _guarded_event(callback) if takes_event else _guarded_any(callback)
    setattr(guarded, GUARDED_MARK, True)
    return guarded


def _guarded_event(callback: Callable[[Any, Any], Any]) -> Callable[..., Any]:
    """Wrap a callback with one event: it runs at every one, and packing arguments would double what a guard costs."""

    @functools.wraps(callback)
    def guarded(self: Guarded, event: Any) -> Any:
        try:
            return callback(self, event)
        except BaseException as error:
            if self.failure is None:
                self.failure = error
            raise

    return guarded


def _guarded_any(callback: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(callback)
    def guarded(self: Guarded, *args: Any, **kwargs: Any) -> Any:
        try:
            return callback(self, *args, **kwargs)
        except BaseException as error:
            if self.failure is None:
                self.failure = error
            raise

    return guarded
