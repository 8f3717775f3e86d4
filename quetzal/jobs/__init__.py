"""A job: a pipeline called once, its result committed whole or not at all."""
