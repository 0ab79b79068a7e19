"""Results → HTML, JUnit, Markdown, terminal: pure functions of the results file."""
