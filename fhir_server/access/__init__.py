"""May they: who sees and does what. Pure: facts come in as values, decisions go out with their reasons."""
