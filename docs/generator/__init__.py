"""What `docs/generate.py` is made of: one file per kind of generated page."""
