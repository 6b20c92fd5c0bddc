"""modelkeep's server, where bytes have so short a time of grace that they are collected at once."""

import sys

from modelkeep_server import __main__ as program
from modelkeep_server.records import blobs

GRACE_US = 200_000

if __name__ == "__main__":
    blobs.GRACE_US = GRACE_US
    sys.exit(program.main(sys.argv[1:]))
