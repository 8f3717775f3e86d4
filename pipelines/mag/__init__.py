"""Magnetic pipelines: from line data to levelled grids, filters and spectra."""
