"""Searches: their filter, their order, their pages, and what comes with these."""
