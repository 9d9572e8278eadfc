"""Market data without an engine: instruments, catalogs, quality checks, generated markets."""
