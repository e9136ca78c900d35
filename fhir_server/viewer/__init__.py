"""The case manager's door: pages over the same interactions that every other caller uses. No rule is decided here."""
