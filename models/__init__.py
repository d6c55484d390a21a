"""Recommenders: the registry, archetypes, layers, losses and training."""
