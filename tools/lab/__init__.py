"""Machines that stand in for others on this one, for the length of a test or of a fault: hosts with sshd, a Slurm."""
