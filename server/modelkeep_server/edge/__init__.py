"""Around every call: who asks, whether they may, how much, how long, how it is answered."""
