"""Values + bounds → results and the verdict: intervals, tests, controls."""
