"""What is stored is found by: indexes, the search parameters of now, and words."""
