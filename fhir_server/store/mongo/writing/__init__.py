"""Writes: a transaction from what it reads ahead to what it sends."""
