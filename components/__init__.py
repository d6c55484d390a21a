"""TFX components: each unpacks its artifacts, calls a tested function of a room below, and writes what it returns."""
