"""Books that exist to be tested with: each does one thing, well or badly."""
