"""Measuring: triggering checkpoints, then turning traces, QMP events and counters into one row per checkpoint."""
