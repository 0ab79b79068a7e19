"""Requests, the planner, the store and the runner: what is asked of a model, once."""
