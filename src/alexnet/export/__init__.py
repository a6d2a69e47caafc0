"""A net with its weights becomes a file for other runtimes. No torch."""
