"""What an error says, however much is wrong."""

from __future__ import annotations

from services.common.errors import (
    MAX_VIOLATIONS,
    InvalidInput,
    Violation,
    missing,
    one_of,
    violation,
)


def test_the_first_few_violations_are_told_and_the_rest_are_counted() -> None:
    error = InvalidInput.of(*(Violation(f"f{i}", "is wrong") for i in range(7)))
    assert str(error) == ". ".join(f"f{i}: is wrong" for i in range(5)) + ". ... and 2 more"
    assert len(error.violations) == 7
    assert "more" not in str(InvalidInput.of(*error.violations[:5]))


def test_an_error_carries_no_more_violations_than_anybody_reads() -> None:
    assert len(InvalidInput.of(*[Violation("f", "x")] * 5000).violations) == MAX_VIOLATIONS


def test_a_long_value_is_cut_where_it_is_shown() -> None:
    wrong = violation("name", "x" * 10**6, "a name")
    assert len(wrong.description) < 250
    assert wrong.description.endswith("..., wanted a name")


def test_a_value_that_python_cannot_write_is_named_by_its_type() -> None:
    deep: list[object] = []
    for _ in range(10_000):
        deep = [deep]
    assert violation("f", 10**5000, "less").description == "got a huge int, wanted less"
    assert violation("f", deep, "less").description == "got a huge list, wanted less"


def test_what_is_missing_is_said_to_be() -> None:
    assert str(missing("chip", "preset or config")) == "chip: is missing, wanted preset or config"


def test_a_long_text_is_no_typing_mistake_of_a_name() -> None:
    assert "did you mean paper" in one_of(["paper"], "papr")
    assert "did you mean" not in one_of(["x" * 101], "x" * 102)
