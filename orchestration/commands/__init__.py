"""The commands, one file each; frameworks are imported inside the functions that need them."""
