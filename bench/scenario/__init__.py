"""What happens in a run: which machines, which steps, who drives, and what makes its record sound."""
