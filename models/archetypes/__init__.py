"""The few shapes that every recommender takes."""
