"""Serves our server factory with the fixtures of the conformance suite: `python tests/conformance_server.py ROOT`."""

import sys
from dataclasses import replace
from pathlib import Path

import anyio
from mcp.server.streamable_http import EventCallback, EventMessage, EventStore
from mcp.types import JSONRPCMessage

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from tests.conformance_fixtures import mount
from ufos_mcp.http import Http, serve_http
from ufos_mcp.server import create_server
from ufos_mcp.settings import Settings


class Events(EventStore):
    """Events of streams, kept so that a client can come back for them."""

    def __init__(self) -> None:
        self.kept: list[tuple[str, JSONRPCMessage | None]] = []

    async def store_event(self, stream_id: str, message: JSONRPCMessage | None) -> str:
        """Keep an event."""
        self.kept.append((stream_id, message))
        return str(len(self.kept))

    async def replay_events_after(self, last_event_id: str, send_callback: EventCallback) -> str | None:
        """Send again what came after an event on its stream."""
        last = int(last_event_id)
        if not 1 <= last <= len(self.kept):
            return None
        stream = self.kept[last - 1][0]
        for number, (name, message) in enumerate(self.kept[last:], last + 1):
            if name == stream and message is not None:
                await send_callback(EventMessage(message, str(number)))
        return stream


def main() -> None:
    """Serve until killed; the address goes to standard output."""
    settings = replace(Settings.of(Path(sys.argv[1])), calls_per_minute=100_000, reads_per_minute=1_000_000)
    server, services = create_server(settings, [mount])
    http = Http(port=0)
    resumable = {"event_store": Events(), "retry_interval": 100}
    anyio.run(lambda: serve_http(server, services, http, lambda at: print(at, flush=True), **resumable))


if __name__ == "__main__":
    main()
