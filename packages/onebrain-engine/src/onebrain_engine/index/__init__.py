"""The indexes in memory: derived from the store, brought up to it at each call, and never the truth."""
