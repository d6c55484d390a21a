"""The configuration: one frozen pydantic tree, one file a section, no framework imports."""
