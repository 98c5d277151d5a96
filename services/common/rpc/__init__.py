"""One server bootstrap, one client channel and one error table for all rooms."""
