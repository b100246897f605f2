"""First-party components, one file per idea. They import only public names of n2n_ablate."""
