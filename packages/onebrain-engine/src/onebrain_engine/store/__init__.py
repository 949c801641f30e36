"""The truth: where memories are kept. `Store` is the contract, `SqliteStore` one implementation."""
