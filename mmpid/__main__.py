"""`python -m mmpid` is the same as `mmpid`."""

import sys

from mmpid.cli import main

if __name__ == "__main__":
    sys.exit(main())
