"""What an actor sees, whether it asks for it, by way of others, or beside what it asked for."""
