"""The rules: what may happen, a file a subject. No gRPC, no SQL."""
