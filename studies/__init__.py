"""The studies that ship with n2n-ablate: one question per TOML file."""
