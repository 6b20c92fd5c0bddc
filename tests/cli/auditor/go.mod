module modelkeep.dev/tests/cli/auditor

go 1.18

require golang.org/x/mod v0.17.0
