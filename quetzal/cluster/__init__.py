"""Where Dask comes from: a local cluster, or a scheduler that is already there."""
