"""Model → model, or prompt → prompts, one attack a file."""
