"""``python -m quetzal``: set up first where that is needed, then run the command line."""

import sys

from quetzal.bootstrap import main

if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
