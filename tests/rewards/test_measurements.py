"""Numbers that are measurements: powers of ten in every notation, and a tolerance of 1e-4."""

import pytest

from verl_dots.rewards.compute import compute_score
from verl_dots.rewards.grading import Verdict, grade

RIGHT = [
    ("4.5e33", r"\boxed{4.5 \times 10^{33} \text{ erg/s}}"),
    ("4.5e33", r"\boxed{4.5 \cdot 10^{33}}"),
    ("4.5e33", r"\boxed{4.5×10^33}"),
    ("4.5e33", r"\boxed{4.5 x 10^33}"),
    ("4.5e33", r"\boxed{0.45\times 10^{34}}"),
    ("4.5e33", r"\boxed{45 \times 10^{32}}"),
    ("4.5e33", r"\boxed{4.5E33}"),
    ("4.5e33", r"\boxed{L = 4.5 \times 10^{33}}"),
    ("4.5e33", r"\boxed{\approx 4.5 \times 10^{33}}"),
    ("4.5e33", r"The answer is $4.5 \times 10^{33}$ erg/s."),
    ("1e-3", r"\boxed{10^{-3}}"),
    ("1e-3", r"\boxed{0.001}"),
    ("1e-3", r"\boxed{1/1000}"),
    ("0.28", r"\boxed{0.280}"),
    ("0.28", r"\boxed{.28}"),
    ("1.6e-19", r"\boxed{1.6\times10^{-19} \text{ C}}"),
    ("6.022e23", r"\boxed{6.0221\times 10^{23}}"),
    ("3.14159", r"\boxed{\pi}"),
    ("5.4e-5", r"\boxed{0.000054}"),
    ("-3./2", r"\boxed{-\frac{3}{2}}"),
    ("np.arcsin(10/13)", r"\boxed{\sin^{-1}(10/13)}"),
    ("np.sqrt(2)", r"\boxed{\sqrt{2}}"),
    ("np.exp(-2)", r"\boxed{e^{-2}}"),
    ("np.log(2)", r"\boxed{\ln 2}"),
    ("np.pi/2", r"\boxed{\frac{\pi}{2}}"),
    ("2*np.pi", r"\boxed{2\pi}"),
    ("33.9", r"\boxed{33.9 \mathrm{~dB}}"),
    ("2", r"\boxed{2.0001}"),
    (r"\frac{37}{4} m", r"\boxed{9.25 m}"),
    (r"\frac{1}{m} t", r"\boxed{t/m}"),
    (r"\frac{1}{2} m v^{2}", r"\boxed{0.5 m v^2}"),
    (r"x_{0} \cos (\omega t)+\dot{x}_{0}", r"\boxed{x_0\cos(\omega t)+\dot{x}_0}"),
    ("I_{0} e^{-t / R C}", r"\boxed{I_0 e^{-\frac{t}{RC}}}"),
    (r"m l \frac{d^2\theta}{dt^2}", r"\boxed{ml\frac{d^2\theta}{dt^2}}"),
    ("1.3e4", r"\boxed{13000}"),
    ("1.3e4", r"\boxed{13{,}000 \text{ K}}"),
    ("1.3e4", r"\boxed{13,000}"),
    ("0.0000003", r"\boxed{3\times10^{-7}}"),
    ("4e33", r"\boxed{4 \times 10^{33}\,\mathrm{erg}\,\mathrm{s}^{-1}}"),
]
WRONG = [
    ("4.5e33", r"\boxed{4.5 \times 10^{32}}"),
    ("4.5e33", r"\boxed{4.5}"),
    ("4.5e33", r"\boxed{10^{33}}"),
    ("4.5e33", r"\boxed{-4.5e33}"),
    ("0.28", r"\boxed{28\%}"),
    ("0.28", r"\boxed{0.29}"),
    ("1.6e-19", r"\boxed{1.7e-19}"),
    ("6.022e23", r"\boxed{6.03\times 10^{23}}"),
    ("-3./2", r"\boxed{\frac{3}{2}}"),
    ("np.arcsin(10/13)", r"\boxed{\arccos(10/13)}"),
    ("33.9", r"\boxed{34}"),
    ("2", r"\boxed{2.001}"),
    ("20000", r"\boxed{20001}"),
    (r"\frac{1}{2} m v^{2}", r"\boxed{m v^2}"),
    ("1.3e4", r"\boxed{1300}"),
    ("2.9e-12", r"\boxed{3.0e-12}"),
]


@pytest.mark.parametrize(("gold", "response"), RIGHT)
def test_right_measurements(gold, response):
    assert grade(response, gold, measured=True) is Verdict.CORRECT


@pytest.mark.parametrize(("gold", "response"), WRONG)
def test_wrong_measurements(gold, response):
    assert grade(response, gold, measured=True) is Verdict.WRONG


def test_the_tolerance_is_that_of_the_source():
    # 9.8 and 9.8005 differ by 5.1e-5, 9.8 and 9.802 by 2e-4, relatively.
    assert compute_score("minerva", r"\boxed{9.8005}", "9.8")["acc"] == 1.0
    assert compute_score("minerva", r"\boxed{9.802}", "9.8")["acc"] == 0.0
    assert compute_score("math", r"\boxed{9.8005}", "9.8")["acc"] == 0.0
    assert compute_score("minerva", r"\boxed{20001}", "20000")["acc"] == 0.0  # whole numbers are counted
