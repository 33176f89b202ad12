"""The methods' arithmetic: pure functions of plain values, randomness as an argument."""
