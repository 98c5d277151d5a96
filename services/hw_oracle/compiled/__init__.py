"""The chip model compiled: what `services.hw_oracle.reference` says, in microseconds."""
