"""What is wrong with a file, a line for each mistake."""

from __future__ import annotations

from services.common.errors import MAX_VIOLATIONS, InvalidInput


def print_mistakes(file: str, error: InvalidInput) -> None:
    """Name the file and every mistake in it."""
    count = len(error.violations)
    if not count:
        print(error)
        return
    more = " or more" if count == MAX_VIOLATIONS else ""
    print(f"{file}: {count}{more} mistake{'s' if count > 1 else ''}")
    for wrong in error.violations:
        print(f"  {wrong}")
