"""Benchmarks: one module a topic, ``python -m benchmarks.TOPIC`` reproduces its rows."""
