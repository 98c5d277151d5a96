"""The floor all rooms stand on; it imports no room."""
