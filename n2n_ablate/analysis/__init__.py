"""Contrasts, verdicts, effects, variance, the recipe to use: records of numbers."""
