"""Compile the chip model for this machine, so that the first answer comes at once."""

from services.hw_oracle.compiled.ahead import compile_ahead

if __name__ == "__main__":
    compile_ahead()
