"""The journal of a study: written line by line, read again, and opened as a whole study."""
