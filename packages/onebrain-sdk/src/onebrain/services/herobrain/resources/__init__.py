"""HeroBrain's resources, one module each."""
