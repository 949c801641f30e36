"""The service-neutral memory: `Brain`, its models, filters and capabilities, and the drivers behind it."""
