"""Compile the chip model for this machine, so that the first answer comes at once."""

from services.hw_oracle.compiled.run import compile_kernel

if __name__ == "__main__":
    compile_kernel()
