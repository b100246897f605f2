"""What `n2n-ablate doctor` looks at, and what it says to do about what is wrong."""
