"""From checkpoints to runs: one row per launched pair, one number per outcome."""
