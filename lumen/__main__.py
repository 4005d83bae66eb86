"""`python -m lumen` is the command `lumen`."""

import sys

from lumen.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
