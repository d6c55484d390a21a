"""How a run is started, watched and recorded: runners, command line, progress, run records."""
