"""One file a proto service: message in, domain call, message out."""
