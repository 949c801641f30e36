"""The wire formats that the server speaks, one folder a service."""
