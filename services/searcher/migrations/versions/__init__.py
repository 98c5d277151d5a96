"""One file a version, numbered; what is released here is never changed."""
