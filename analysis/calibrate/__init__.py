"""The error rates of every method, on campaigns whose truth is known."""
