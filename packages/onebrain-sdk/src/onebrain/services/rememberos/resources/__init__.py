"""The groups of endpoints, as the API reference groups them."""
