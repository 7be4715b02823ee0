"""Programs for those who work on the project: faults that are injected, and what the harness itself costs."""
