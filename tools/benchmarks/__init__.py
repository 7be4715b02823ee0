"""Benchmarks of the instrument itself: `make benchmark` prints and stores their figures, and asserts nothing."""
