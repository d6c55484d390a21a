"""What is measured, on which slices, and whether a candidate is good enough to be pushed."""
