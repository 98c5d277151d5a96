"""A search as one page that is read anywhere: no server, no network, no other file."""
