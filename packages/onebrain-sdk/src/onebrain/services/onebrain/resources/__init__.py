"""OneBrain's API, a module for each resource."""
