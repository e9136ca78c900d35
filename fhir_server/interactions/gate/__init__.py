"""The parts of the write gate: what is asked becomes definite, is judged, has its consequences, and is kept."""
