"""What searching needs, in memory: derived from the store, caught up with it at each call, never the truth."""
