"""`python -m n2n_ablate`: the command line, without an installation."""

from n2n_ablate.cli import main

main()
