"""Where things run: hosts, through which everything passes, and how they are joined."""
