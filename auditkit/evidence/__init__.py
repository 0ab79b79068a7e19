"""The audit's run, its results file, the bundle and its manifest."""
