"""What will be measured, in which order, and what it takes."""
