"""What was declared, what the runs say of it, and in which words."""
