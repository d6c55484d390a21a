"""Feature records in, one graph out: learnt in a full pass over train, applied in training and in serving."""
