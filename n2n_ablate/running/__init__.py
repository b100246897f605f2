"""Runs studies: trials into fits, fits into results, races, confirmations, and who is told."""
