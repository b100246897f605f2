"""What a terminal shows: the live view and the tables."""
