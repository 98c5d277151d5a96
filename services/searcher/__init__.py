"""The search loop: ask for a candidate, cost it, train it, tell; durable and resumable."""
