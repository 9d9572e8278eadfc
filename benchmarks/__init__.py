"""Benchmarks: `python -m benchmarks` measures the engine, the desk and its peers; see README.md."""
