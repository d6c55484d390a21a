"""Recommenders that score the whole catalogue for a query."""
