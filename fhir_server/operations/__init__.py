"""One file for each operation, entered through `perform` like every interaction."""
