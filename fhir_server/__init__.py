"""Samen: one shared care plan for everyone around a person."""
