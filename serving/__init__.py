"""What is served: the SavedModel and its signatures, and the versions of it."""
