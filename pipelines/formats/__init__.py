"""File formats: a file to a dataset and back, one module a format."""
