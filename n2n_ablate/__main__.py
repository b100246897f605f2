"""`python -m n2n_ablate`: the command line, also from a checkout that is not installed."""

import sys

from n2n_ablate import missing

try:
    from n2n_ablate.cli import main
except ModuleNotFoundError as error:
    line = missing.told(error)
    if not line:
        raise
    sys.exit(f"error: {line}")

main()
