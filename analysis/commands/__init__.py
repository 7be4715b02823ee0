"""The commands beside the report: two campaigns compared, what a design can see, how often a method is wrong."""
