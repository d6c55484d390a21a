"""What people see of a run: the summary for machines, tables for the terminal, the page for the browser."""
