"""Scenarios that measure and record; they never fail a build. `python -m bench --help` lists them."""
