"""Recommenders of explicit feedback: they predict a rating."""
