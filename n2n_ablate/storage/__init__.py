"""The output folder: locks, fits, journals, and studies opened again from it."""
