"""modelkeep's server, which brings its short log into the database's file every few writes."""

import sys

from modelkeep_server import __main__ as program
from modelkeep_server.records import sqlite

LOG_PAGES = 20

if __name__ == "__main__":
    sqlite.LOG_PAGES = LOG_PAGES
    sys.exit(program.main(sys.argv[1:]))
