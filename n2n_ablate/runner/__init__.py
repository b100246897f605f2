"""Runs studies: trials into fits, fits into results, races and confirmations, and who hears of them."""
