"""Asking in a graph: a YAML file of tasks, checked as a whole before anything runs, then run as one run."""
