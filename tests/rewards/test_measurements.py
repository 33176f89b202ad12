"""Numbers that are measurements: powers of ten in every notation, and a tolerance of 1e-4."""

import pytest

from verl_dots.rewards.compute import compute_score
from verl_dots.rewards.grading import Verdict, grade
from verl_dots.rewards.mathematics import close


@pytest.fixture(scope="module", autouse=True)
def _stop_workers_afterwards():
    yield
    close()


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
    ("4.5e33", r"\boxed{4.5\times 10^{33}\text{ erg s}^{-1}}"),
    ("4.5e33", r"\boxed{4.5 \times 10^{33} \, \text{erg}/\text{s}}"),
    ("4.5e33", r"\boxed{P = 4.5\times10^{33}\ \mathrm{W}}"),
    ("4.5e33", r"\boxed{4.50000e+33}"),
    ("4.5e33", r"The final answer is $4.5 \times 10^{33}$. I hope it is correct."),
    ("4.5e33", "Answer: 4.5 × 10³³"),
    ("4.5e33", r"\boxed{\text{4.5e33}}"),
    ("4.5e33", r"\boxed{4.5\times 10^{33}.}"),
    ("4.5e33", r"\boxed{+4.5e33}"),
    ("-1.2e-7", r"\boxed{-1.2 \times 10^{-7}}"),
    ("1e6", r"\boxed{1{,}000{,}000}"),
    ("1e6", r"\boxed{10^6}"),
    ("1e6", r"\boxed{10^{6} \text{ m}}"),
    ("6e13", r"\boxed{6\times 10^{13}\,\mathrm{cm}}"),
    ("0.5e-3", r"\boxed{5\times10^{-4}}"),
    ("2.45e6", r"\boxed{2.45 \times 10^6}"),
    ("2.45e6", r"\boxed{2450000}"),
    ("7.353e-15", r"\boxed{7.3530\times10^{-15}}"),
    ("8.7e8", r"\boxed{8.7 \cdot 10^8}"),
    ("0.0002", r"\boxed{2e-4}"),
    ("0.0002", r"\boxed{2 \times 10^{-4}}"),
    ("10", r"\boxed{10.0 \text{ m}}"),
    ("10", r"\boxed{9.9995}"),
    ("-0.3", r"\boxed{-0.30}"),
    ("-0.3", r"\boxed{-3/10}"),
    ("75", r"\boxed{75\%}"),
    ("45", r"\boxed{45^{\circ}}"),
    (r"\arcsin{1.3 \sin{\theta_w}}", r"\boxed{\arcsin(1.3\sin\theta_w)}"),
    (r"\frac{-2}{t^{3}}", r"\boxed{-2t^{-3}}"),
    (r"-\frac{2}{t^3}", r"\boxed{-2 t^{-3}}"),
    ("e^{-2 t}", r"\boxed{e^{-2t}}"),
    (r"\frac{1}{\sqrt{2}} \sin(2t)", r"\boxed{\frac{\sqrt{2}}{2}\sin 2t}"),
    (r"\sqrt{2} \cos(\pi/4-t)", r"\boxed{\cos t+\sin t}"),
    ("y = x^2", r"\boxed{x^2}"),
    (r"c\left[1-\frac{1}{(\gamma+2)^2}\right]^{1/2}", r"\boxed{c\sqrt{1-\frac{1}{(\gamma+2)^2}}}"),
    (r"\frac{Q_{o}}{\lambda}", r"\boxed{\frac{Q_o}{\lambda}}"),
    ("k[A]^2", r"\boxed{k [A]^{2}}"),
    ("2A + B", r"\boxed{B+2A}"),
    ("F_0 x", r"\boxed{xF_0}"),
    (r"\text{False}", r"\boxed{\text{false}}"),
    ("False", r"\boxed{False}"),
    ("0:30", r"\boxed{0:30}"),
    ("1", r"\boxed{1.0000}"),
    ("np.exp(1)", r"\boxed{e}"),
    ("np.arccos(-1/3)", r"\boxed{\cos^{-1}(-1/3)}"),
    ("np.tan(2)", r"\boxed{\tan 2}"),
    ("np.log(10)", r"\boxed{\ln(10)}"),
    ("np.sqrt(3)/2", r"\boxed{\frac{\sqrt3}{2}}"),
    ("5./3", r"\boxed{\frac53}"),
    ("2./3.", r"\boxed{2/3}"),
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
    ("-1.2e-7", r"\boxed{1.2 \times 10^{-7}}"),
    ("1e6", r"\boxed{10^7}"),
    ("2.45e6", r"\boxed{2.46e6}"),
    ("7.353e-15", r"\boxed{7.36\times10^{-15}}"),
    ("10", r"\boxed{10.01}"),
    ("np.sqrt(3)/2", r"\boxed{\frac{\sqrt2}{2}}"),
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
