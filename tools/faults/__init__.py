"""Faults, injected for real: the main command on a tiny real campaign, broken on purpose, and what is left of it."""
