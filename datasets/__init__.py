"""Readers, split and point-in-time features: rows in, examples out."""
