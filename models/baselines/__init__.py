"""The floors every model is measured against."""
