"""What things are: small values that every layer may use."""
