"""The central room: plans, teams, Tasks and what follows from them. Pure: no web, no database, no clock of its own."""
