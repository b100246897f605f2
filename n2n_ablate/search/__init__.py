"""Search: what chooses the next trial, and where it is remembered."""
