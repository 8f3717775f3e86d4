"""A Dask client, a workspace with one result in it, and a pipeline that doubles a grid."""

from typing import Annotated

import numpy as np
import pytest
import xarray as xr
from distributed import Client, LocalCluster
from pydantic import Field

from pipelines.conventions import Geometry, make_grid
from pipelines.registry import Cost, pipeline
from quetzal.catalogue import results
from quetzal.catalogue.catalogue import Catalogue

GEOMETRY = Geometry(origin=(0.0, 0.0), spacing=(50.0, 50.0), shape=(1100, 1300))


@pytest.fixture(scope="module")
def client():
    with (
        LocalCluster(n_workers=1, threads_per_worker=2, processes=False, dashboard_address=None) as cluster,
        Client(cluster, set_as_default=False) as client,
    ):
        yield client


@pytest.fixture
def catalogue(tmp_path):
    """A workspace with one committed result named ``made-…`` to compute from."""
    catalogue = Catalogue(tmp_path)
    values = np.random.default_rng(1).normal(size=GEOMETRY.shape)
    values[:200, :200] = np.nan
    grid = make_grid(values, GEOMETRY, name="total_field_anomaly", crs="EPSG:32754")
    lineage = results.Lineage("made", "1", "f" * 64, {}, {})
    with results.begin(results.folder_of(catalogue.results, "made", lineage.fingerprint)) as store:
        grid.to_dataset().to_zarr(store, zarr_format=3, consolidated=False, write_empty_chunks=True)
        results.commit(store, lineage, {})
    return catalogue


@pytest.fixture
def doubled(own_registry):
    @pipeline("test.doubled", version="1", cost=lambda *_: Cost(1.0, 1.0))
    def doubled(grid: xr.DataArray, *, factor: Annotated[float, Field(gt=0)] = 2.0) -> xr.Dataset:
        """Double a grid."""
        return (grid.chunk(512) * factor).assign_attrs(units="nT").to_dataset(name="doubled")

    return doubled
