from fractions import Fraction

import pytest

from verl_dots.rewards.expressions.parser import ParseError, parse_expression
from verl_dots.rewards.expressions.values import Undefined, close, pairs, same_constant, value, variables


@pytest.mark.parametrize(
    ("text", "worth"),
    [
        ("1+2*3", Fraction(7)),
        ("-2^{2}", Fraction(-4)),
        (r"3\frac{1}{2}", Fraction(7, 2)),  # a mixed number
        (r"3\frac{4}{2}", Fraction(6)),  # no proper fraction: a product
        (r"-3\frac{1}{2}", Fraction(-7, 2)),
        (r"\frac{1}{2}/4", Fraction(1, 8)),
        ("6/2*3", Fraction(9)),
        (r"\sqrt{\frac{9}{4}}", Fraction(3, 2)),
        (r"\sqrt[3]{-8}", Fraction(-2)),
        ("(-8)^{1/3}", Fraction(-2)),
        ("|2-5|*7!!", Fraction(315)),
        (r"\binom{10}{3}", Fraction(120)),
        (r"\lfloor -1.5 \rfloor", Fraction(-2)),
        (r"\lceil \frac{7}{2} \rceil", Fraction(4)),
        ("2^{-3}", Fraction(1, 8)),
        (r"50\percent", Fraction(1, 2)),
    ],
)
def test_rational_values_are_exact(text, worth):
    assert value(parse_expression(text)) == worth


EQUAL = [
    (r"\sin 30\degree", r"\frac{1}{2}"),
    (r"\sin^{2} x+\cos^{2} x", "1"),
    (r"\sin^{-1} 1", r"\frac{\pi}{2}"),
    (r"\log_{2} 8", "3"),
    (r"\log 100", "2"),
    (r"\ln e^{3}", "3"),
    ("(1+i)^{2}", "2i"),
    (r"e^{i\pi}", "-1"),
    ("(x+1)^{2}", "x^{2}+2x+1"),
    (r"\sqrt{x^{2}}", "x"),
    (r"\frac{n!}{(n-1)!}", "n"),
    (r"\sqrt{2}-\sqrt{2}", "0"),
    (r"2\pi r", r"r*\pi*2"),
    ("f(x+1)", "f(1+x)"),
]
OTHER = [
    ("x_{1}", "x_{2}"), ("a^{b+c}", "a^{b}+c"), ("R", "r"), (r"\lfloor x/2 \rfloor", r"\lceil x/2 \rceil"),
    ("2^{99}", "2^{99}+1"), (r"\frac{1}{2004!}", "0"), (r"3^{-174762.5}", r"-3^{-174762.5}"),
]  # fmt: skip


@pytest.mark.parametrize(("left", "right", "same"), [(*p, True) for p in EQUAL] + [(*p, False) for p in OTHER])
def test_two_expressions_have_the_same_value_or_not(left, right, same):
    assert all(close(one, two) for one, two in pairs(parse_expression(left), parse_expression(right))) is same


def test_a_slash_before_letters_has_two_readings():
    loose, tight = parse_expression("t/RC"), parse_expression("t/RC", tight=True)
    fraction = parse_expression(r"\frac{t}{RC}")
    assert close(value(tight, 0), value(fraction, 0)) and not close(value(loose, 0), value(fraction, 0))
    assert parse_expression("1/2x", tight=True) == parse_expression("1/2x")


@pytest.mark.parametrize(
    "text", ["", "1+", "(1", "1)", "x @ y", r"\sum_{k} k", r"1, 2", r"\frac{1}", "(" * 100 + "1" + ")" * 100]
)
def test_what_is_no_expression(text):
    with pytest.raises(ParseError):
        parse_expression(text)


@pytest.mark.parametrize("text", ["1/0", "9^{9^{9^{9}}}", "((100000!)!)!", r"\binom{10^{9}}{10^{8}}", r"\infty-\infty"])
def test_what_has_no_value_in_reach(text):
    with pytest.raises(Undefined):
        value(parse_expression(text))


def test_values_that_differ_far_behind_the_point():
    near = [parse_expression(text) for text in (r"\sqrt{2^{2009}-1}", r"\sqrt{2^{2009}-2}")]
    assert close(*pairs(*near)[0]) and not same_constant(*near) and same_constant(near[0], near[0])


def test_variables_and_tolerance():
    assert variables(parse_expression(r"a_{1}x+f(y)+\pi")) == {"a_1", "x", "f", "y"}
    assert close(Fraction(100), Fraction(101), 0.01) and not close(Fraction(100), Fraction(102), 0.01)
    assert not close(
        Fraction(16, 10**20), Fraction(17, 10**20), 1e-4
    )  # relative: small numbers differ as large ones do
