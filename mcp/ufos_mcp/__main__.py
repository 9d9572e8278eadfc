"""`python -m ufos_mcp` is the same as `ufos-mcp`."""

from ufos_mcp.main import main

main()
