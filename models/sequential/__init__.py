"""Retrieval recommenders that read a sequence."""
