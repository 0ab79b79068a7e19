"""Small models with planted ground truth, built on the machine."""
