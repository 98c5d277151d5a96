"""The imcnas command."""
