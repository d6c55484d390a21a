"""Quality of every model under published protocols, each written once."""
