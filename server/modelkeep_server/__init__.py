"""modelkeep's server: `edge → services → domain → records, blobs → values`, downwards only."""
