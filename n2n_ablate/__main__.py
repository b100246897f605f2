"""`python -m n2n_ablate`: the command line, also from a checkout that is not installed."""

import sys

from n2n_ablate.errors import missing_package

try:
    from n2n_ablate.cli import main
except ModuleNotFoundError as error:
    line = missing_package(error)
    if not line:
        raise
    sys.exit(f"error: {line}")

main()
