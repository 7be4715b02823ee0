"""A campaign under way: the loop over its runs, one run, and what a person sees."""
