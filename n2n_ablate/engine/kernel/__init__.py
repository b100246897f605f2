"""The compiled kernel of a chain of convolutions: C, built at installation where there is a compiler."""
