"""YAML text → a validated Spec, with file:line:column and a hint for every error."""
