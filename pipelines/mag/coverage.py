"""How far each cell of a grid is from data, so that gaps can be told from measurements."""

import numpy as np
from scipy.spatial import cKDTree

from pipelines.conventions import Geometry
from pipelines.errors import DataError


def distance_to_data(easting: np.ndarray, northing: np.ndarray, geometry: Geometry) -> np.ndarray:
    """Return the distance from every cell centre to the nearest data point.

    Parameters
    ----------
    easting, northing : ndarray
        Positions of the data, metres; at least one, within the grid or not.
    geometry : Geometry
        The grid.

    Returns
    -------
    ndarray, shape ``geometry.shape``
        Metres.

    Raises
    ------
    DataError
        If there is no point.

    Notes
    -----
    Exact for the points given. For block-reduced points it is within half a block's diagonal of the
    distance to the raw ones. The search by tree was as fast as a distance transform on the cells
    (0.6 s per million cells), whose error reached half a cell.
    """
    x, y = np.asarray(easting, dtype=float).ravel(), np.asarray(northing, dtype=float).ravel()
    if x.size == 0:
        raise DataError("points", 0, "must be at least one to measure a distance to")
    tree = cKDTree(np.column_stack([x, y]))
    # A row at a time keeps the table of cell centres small.
    row = np.empty((geometry.shape[1], 2))
    row[:, 0] = geometry.easting
    distance = np.empty(geometry.shape)
    for i, northing_of_row in enumerate(geometry.northing):
        row[:, 1] = northing_of_row
        distance[i] = tree.query(row)[0]
    return distance
