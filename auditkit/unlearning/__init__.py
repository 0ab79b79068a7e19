"""Model → model (or guarded model), one method a file."""
