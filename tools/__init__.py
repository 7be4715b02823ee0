"""Programs for those who work on the project: faults that are injected, what the harness costs, the house drawn."""
