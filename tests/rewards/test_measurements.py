"""Numbers that are measurements: powers of ten in every notation, and a tolerance of 1e-4."""

import pytest

from verl_dots.rewards.compute import compute_score
from verl_dots.rewards.grading import Verdict, grade

# A ground truth and answers that equal it.
RIGHT = [
    ("4.5e33", r"4.5 \cdot 10^{33}", "4.5×10^33", "4.5 x 10^33", "4.5 × 10³³", r"4.5\times 10^{33}.", "4.5E33"),
    ("4.5e33", "+4.5e33", r"0.45\times 10^{34}", r"45 \times 10^{32}", "4.50000e+33", r"\text{4.5e33}"),
    ("4.5e33", r"L = 4.5 \times 10^{33}", r"\approx 4.5 \times 10^{33}", r"P = 4.5\times10^{33}\ \mathrm{W}"),
    ("4.5e33", r"4.5 \times 10^{33} \text{ erg/s}", r"4.5\times 10^{33}\text{ erg s}^{-1}"),
    ("4.5e33", r"4.5 \times 10^{33} \, \text{erg}/\text{s}", r"4.5 \times 10^{33}\,\mathrm{erg}\,\mathrm{s}^{-1}"),
    ("1e6", "10^6", r"10^{6} \text{ m}", r"1{,}000{,}000"),
    ("1.3e4", "13000", "13,000", r"13{,}000 \text{ K}"),
    ("1e-3", "10^{-3}", "0.001", "1/1000"),
    ("0.5e-3", r"5\times10^{-4}"),
    ("0.0002", "2e-4", r"2 \times 10^{-4}"),
    ("-1.2e-7", r"-1.2 \times 10^{-7}"),
    ("6.022e23", r"6.0220\times 10^{23}", r"6.0221\times 10^{23}"),
    ("0.28", "0.280", ".28"),
    ("-0.3", "-0.30", "-3/10"),
    ("10", "9.9995", r"10.0 \text{ m}"),
    ("33.9", r"33.9 \mathrm{~dB}"),
    ("75", r"75\%", r"75^{\circ}"),
    ("-3./2", r"-\frac{3}{2}"),
    ("2./3.", "2/3"),
    ("np.arcsin(10/13)", r"\sin^{-1}(10/13)"),
    ("np.exp(-2)", "e^{-2}"),
    ("np.log(10)", r"\ln(10)"),
    ("2*np.pi", r"2\pi"),
    ("np.sqrt(3)/2", r"\frac{\sqrt3}{2}"),
    (r"\frac{37}{4} m", "9.25 m"),
    (r"\frac{1}{2} m v^{2}", "0.5 m v^2"),
    (r"x_{0} \cos (\omega t)+\dot{x}_{0}", r"x_0\cos(\omega t)+\dot{x}_0"),
    ("I_{0} e^{-t / R C}", r"I_0 e^{-\frac{t}{RC}}"),
    (r"m l \frac{d^2\theta}{dt^2}", r"ml\frac{d^2\theta}{dt^2}"),
    (r"\arcsin{1.3 \sin{\theta_w}}", r"\arcsin(1.3\sin\theta_w)"),
    (r"\frac{1}{\sqrt{2}} \sin(2t)", r"\frac{\sqrt{2}}{2}\sin 2t"),
    (r"\sqrt{2} \cos(\pi/4-t)", r"\cos t+\sin t"),
    (r"c\left[1-\frac{1}{(\gamma+2)^2}\right]^{1/2}", r"c\sqrt{1-\frac{1}{(\gamma+2)^2}}"),
    (r"\frac{Q_{o}}{\lambda}", r"\frac{Q_o}{\lambda}"),
    ("k[A]^2", "k [A]^{2}"),
    ("2A + B", "B+2A"),
]
WRONG = [
    ("4.5e33", r"4.5 \times 10^{32}", "4.5", "10^{33}", "-4.5e33"),
    ("1e6", "10^7"),
    ("1.3e4", "1300"),
    ("-1.2e-7", r"1.2 \times 10^{-7}"),
    ("6.022e23", r"6.03\times 10^{23}"),
    ("0.28", r"28\%", "0.29"),
    ("10", "10.01"),
    ("-3./2", r"\frac{3}{2}"),
    ("np.arcsin(10/13)", r"\arccos(10/13)"),
    ("np.sqrt(3)/2", r"\frac{\sqrt2}{2}"),
    (r"\frac{1}{2} m v^{2}", "m v^2"),
]


@pytest.mark.parametrize(
    ("answers", "verdict"),
    [(row, Verdict.CORRECT) for row in RIGHT] + [(row, Verdict.WRONG) for row in WRONG],
)
def test_measurements_are_right_or_wrong(answers, verdict):
    gold, *given = answers
    found = {answer: grade(rf"\boxed{{{answer}}}", gold, measured=True) for answer in given}
    assert found == dict.fromkeys(given, verdict)


def test_the_tolerance_is_that_of_the_source():
    # 9.8 and 9.8005 differ by 5.1e-5, 9.8 and 9.802 by 2e-4, relatively.
    assert compute_score("minerva", r"\boxed{9.8005}", "9.8")["acc"] == 1.0
    assert compute_score("minerva", r"\boxed{9.802}", "9.8")["acc"] == 0.0
    assert compute_score("math", r"\boxed{9.8005}", "9.8")["acc"] == 0.0
