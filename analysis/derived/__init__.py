"""From checkpoints to runs, from runs to cells, effects and verdicts: pure functions of what was stored."""
