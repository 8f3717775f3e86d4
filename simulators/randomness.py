"""Seeded random streams: one counter-based generator for each component of a simulation.

A component draws from a stream of its own, so that changing how one is made (more dykes, another
terrain) leaves every other one as it was, byte for byte.
"""

from zlib import crc32

import numpy as np

from pipelines.errors import ParameterError


def generator(seed: int, component: str) -> np.random.Generator:
    """Return the Philox generator of *component* under *seed*.

    Parameters
    ----------
    seed : int
        Seed of the whole simulation, zero or positive.
    component : str
        Name of the part that draws, for instance ``"terrain"``.

    Raises
    ------
    ParameterError
        If *seed* is negative or not an integer.
    """
    if isinstance(seed, bool) or not isinstance(seed, int | np.integer) or seed < 0:
        raise ParameterError("seed", seed, "must be an integer, zero or positive")
    return np.random.Generator(
        np.random.Philox(np.random.SeedSequence([int(seed), crc32(component.encode())]))
    )
