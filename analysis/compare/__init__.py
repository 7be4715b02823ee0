"""Two campaigns against each other."""
