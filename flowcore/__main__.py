"""``python -m flowcore``: the command line, where the script ``flow`` is not on the path."""

import sys

from flowcore.cli import main

if __name__ == "__main__":
    sys.exit(main())
