"""Blocks of a campaign as jobs of a cluster: what a part is, what is submitted, what Slurm says of it."""
