"""Data: from anybody's tables to one checked study."""
