"""Recommenders of clicks and likes: one logit a row."""
