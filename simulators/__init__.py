"""Surveys, devices and markets that never were, drawn from a seed.

A simulator knows the truth that its data came from, which is what the tests and the demonstration
need. It may use `pipelines` and knows nothing of the service.
"""
