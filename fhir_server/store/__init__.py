"""Keep: versions of resources with what a search and an access decision need, on a real MongoDB."""
