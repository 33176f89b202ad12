"""One way to write an answer."""

import pytest

from verl_dots.rewards.text.latex import clean, strip_end


@pytest.mark.parametrize(
    ("text", "cleaned"),
    [
        (r"$\left(\dfrac12,\; π\right)$", r"(\frac{1}{2}, \pi)"),
        (r"\text{13}", "13"),
        (r"3\text{ and }4", r"3\text{and}4"),
        (r"12,\!345", "12345"),
        ("√12 × 2²", r"\sqrt{12} \times 2^{2}"),
        ("−½", r"-\frac{1}{2}"),
        ("１２", "12"),
        ("50 percent", r"50 \percent"),
        ("\x0crac{1}{2}", r"\frac{1}{2}"),
        (r"\textcolor{red}{\large 2}", "{2}"),
        (r"{\bf 5}", "{5}"),
        (r"3\hat{\mathbf{i}}-4\vec j", "3i-4j"),
        (r"x\in\mathbf{R}", r"x\in\mathbb{R}"),
        (r"\Rightarrow 5\checkmark", "5"),
        ("np.abs(-5)", r"\abs(-5)"),
        (r"5\,\frac{\text{kg}\cdot\text{m}}{\text{s}^2}", r"5\text{kg}\cdot\text{m}/\text{s}^{2}"),
        ("10 [m]", r"10\text{m}"),
        ("minus 3", "-3"),
        ("2𝜋∛5", r"2\pi\sqrt[3]{5}"),
        (r"\begin{pmatrix} 1 \\ 2 \end{pmatrix}", r"\begin{pmatrix} 1 \\ 2 \end{pmatrix}"),
    ],
)
def test_clean(text, cleaned):
    assert clean(text).replace(" ", "") == cleaned.replace(" ", "")


def test_the_end_of_an_answer():
    assert strip_end("5. ") == strip_end("5;") == strip_end("5\\\\") == "5" and strip_end("5!") == "5!"
