"""Links between memories, and the time for which they hold, on services that have neither: kept in their metadata."""
