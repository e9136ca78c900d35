"""Circles: as they lie in the database, and as they are asked for."""
