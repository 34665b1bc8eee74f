"""``python -m pb``: the command ``pb`` where its script is not on the path."""

import sys

from pb.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
