"""Tell the parties what changed: topics, numbered events, and their delivery, in order and never lost."""
