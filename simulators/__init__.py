"""Simulators: what a mine and a survey aircraft would report, from seeds."""
