"""Texts of matrices and of systems of equations."""

from verl_dots.rewards.reading.matrices import MatrixText, split_cases, split_matrix, split_system

ROWS = [["1", "2"], ["3", "4"]]


def test_a_matrix_has_a_factor_and_may_be_turned():
    matrix = r"\begin{pmatrix} 1 & 2 \\ 3 & 4 \end{pmatrix}"
    assert split_matrix(matrix) == MatrixText("", ROWS)
    assert split_matrix(r"\frac{1}{2} \cdot " + matrix) == MatrixText(r"\frac{1}{2}", ROWS)
    assert split_matrix(matrix + "^{T}") == MatrixText("", [["1", "3"], ["2", "4"]])
    assert split_matrix("[1, 2]^T") == MatrixText("", [["1"], ["2"]])
    assert split_matrix("x + 1") is None


def test_a_function_by_cases_is_no_system():
    assert split_system(r"\begin{cases} x = 1 \\ y = 2 \end{cases}") == ["x=1", "y=2"]
    assert split_system(r"\begin{aligned} x &= 1 \\ y &= 2 \end{aligned}") == ["x=1", "y=2"]
    assert split_system(r"\{ \begin{array}{l} x = 1 \\ y = 2 \end{array}") == ["x=1", "y=2"]
    assert split_system(r"\begin{cases} x & x > 0 \\ 0 & x = 0 \end{cases}") is None


def test_a_function_by_cases_has_values_and_conditions():
    pairs = [("x", "x > 0"), ("0", r"\text{otherwise}")]
    assert split_cases(r"\begin{cases} x & \text{if} x > 0, \\ 0 & \text{otherwise} \end{cases}") == pairs
    assert split_cases(r"\begin{cases} n + 1, n = 2k \\ n, n = 2k + 1 \end{cases}") == [
        ("n + 1", "n = 2k"),
        ("n", "n = 2k + 1"),
    ]
    assert split_cases(r"\begin{cases} x = 1 \\ y = 2 \end{cases}") is None
