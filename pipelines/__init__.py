"""Magnetic and terrain pipelines on xarray: a library that works alone.

Nothing here knows of services, queues or users. A pipeline is a function from datasets to a
dataset; see `pipelines.registry`.
"""
