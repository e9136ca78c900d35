"""Ask: search parameters become a Query; the store and `match` answer the same Query alike."""
