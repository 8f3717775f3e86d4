"""Magnetic and terrain pipelines on xarray: a library that works alone.

Nothing here knows of services, queues or users. A pipeline is a function from datasets to a
dataset (`pipelines.registry`); importing this package also gives every grid and survey the
accessor ``.mag`` over the same registry (`pipelines.accessors`).
"""

from pipelines import accessors as accessors
