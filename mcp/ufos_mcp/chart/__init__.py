"""Charts of a run's profit: a PNG made with the standard library, and a page that hosts of MCP Apps show."""
