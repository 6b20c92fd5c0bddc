"""modelkeep's server, which collects one thing at a time, and is soon given up."""

import sys

from modelkeep_server import __main__ as program
from modelkeep_server.domain import collection
from modelkeep_server.records import operations

if __name__ == "__main__":
    collection.TAKEN = 1
    operations.LEASE_US = 1_000_000
    sys.exit(program.main(sys.argv[1:]))
