"""Small layers on keras.ops; one concept a file."""
