"""Surveys and results at rest: sealed folders of Zarr with a manifest."""
