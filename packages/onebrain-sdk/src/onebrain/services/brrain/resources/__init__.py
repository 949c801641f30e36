"""The groups of endpoints, as the documentation groups them."""
