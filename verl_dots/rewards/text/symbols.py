r"""What is written for a symbol: Unicode characters as commands, and commands that mean the same as another one."""

SYMBOLS = {
    "−": "-", "–": "-", "—": "-", "‐": "-", "‑": "-", "﹣": "-", "×": r"\times ", "·": r"\cdot ", "⋅": r"\cdot ",
    "∙": r"\cdot ", "÷": r"\div ", "∕": "/", "⁄": "/", "π": r"\pi ", "∞": r"\infty ", "±": r"\pm ", "∓": r"\mp ",
    "≤": r"\le ", "≥": r"\ge ", "⩽": r"\le ", "⩾": r"\ge ", "≠": r"\ne ", "≈": r"\approx ", "∪": r"\cup ",
    "∩": r"\cap ", "∈": r"\in ", "∅": r"\emptyset ", "°": r"^{\circ}", "º": r"^{\circ}", "′": "'", "’": "'", "‘": "'",
    "“": '"', "”": '"', "…": r"\ldots ", "⋯": r"\cdots ", "ℝ": r"\mathbb{R}", "ℤ": r"\mathbb{Z}", "ℕ": r"\mathbb{N}",
    "ℚ": r"\mathbb{Q}", "∠": r"\angle ", "△": r"\triangle ", "½": r"\frac{1}{2}", "¼": r"\frac{1}{4}",
    "¾": r"\frac{3}{4}", "⅓": r"\frac{1}{3}", "⅔": r"\frac{2}{3}", "⅕": r"\frac{1}{5}", "⅛": r"\frac{1}{8}",
    "⅖": r"\frac{2}{5}", "⅗": r"\frac{3}{5}", "⅘": r"\frac{4}{5}", "⅙": r"\frac{1}{6}", "⅚": r"\frac{5}{6}",
    "⅜": r"\frac{3}{8}", "⅝": r"\frac{5}{8}", "⅞": r"\frac{7}{8}", "θ": r"\theta ", "α": r"\alpha ", "β": r"\beta ",
    "γ": r"\gamma ", "δ": r"\delta ", "λ": r"\lambda ", "μ": r"\mu ", "ρ": r"\rho ", "σ": r"\sigma ", "φ": r"\phi ",
    "ϕ": r"\phi ", "ω": r"\omega ", "τ": r"\tau ", "ε": r"\epsilon ", "Δ": r"\Delta ", "Ω": r"\Omega ",
    "⌊": r"\lfloor ", "⌋": r"\rfloor ", "⌈": r"\lceil ", "⌉": r"\rceil ", "⟨": r"\langle ", "⟩": r"\rangle ",
    "→": r"\to ", "\u200b": "", "\ufeff": "", "\u2061": "", "\u2062": "", "≦": r"\le ", "≧": r"\ge ", "∗": "*",
    "•": r"\cdot ", "✕": r"\times ", "✖": r"\times ", "⨯": r"\times ", "‒": "-", "―": "-", "➖": "-",
    "℃": r"^{\circ}\text{C}", "℉": r"^{\circ}\text{F}", "⊂": r"\subset ", "⊆": r"\subseteq ", "∖": r"\setminus ",
    "∝": r"\propto ", "∼": r"\sim ", "≅": r"\cong ", "≡": r"\equiv ", "∀": r"\forall ", "∃": r"\exists ",
    "∨": r"\vee ", "∧": r"\wedge ", "⇒": r"\Rightarrow ", "∴": r"\therefore ", "⟹": r"\implies ", "η": r"\eta ",
    "ζ": r"\zeta ", "κ": r"\kappa ", "ν": r"\nu ", "ξ": r"\xi ", "χ": r"\chi ", "ψ": r"\psi ", "Γ": r"\Gamma ",
    "Λ": r"\Lambda ", "Φ": r"\Phi ", "Ψ": r"\Psi ", "Σ": r"\Sigma ", "Θ": r"\Theta ", "ϵ": r"\epsilon ",
    "∆": r"\Delta ", "µ": r"\mu ", "⅐": r"\frac{1}{7}", "⅑": r"\frac{1}{9}", "⅒": r"\frac{1}{10}", "ℂ": r"\mathbb{C}",
    "✓": r"\checkmark ", "✔": r"\checkmark ", "✅": r"\checkmark ", "∎": r"\blacksquare ", "■": r"\blacksquare ",
}  # fmt: skip
SYNONYMS = {
    "dfrac": "frac", "tfrac": "frac", "cfrac": "frac", "dbinom": "binom", "tbinom": "binom", "leq": "le",
    "leqslant": "le", "geq": "ge", "geqslant": "ge", "neq": "ne", "lt": "<", "gt": ">", "cdotp": "cdot", "ast": "*",
    "lbrace": "{", "rbrace": "}", "lbrack": "[", "rbrack": "]", "vert": "|", "lvert": "|", "rvert": "|", "mid": "|",
    "land": "and", "dots": "ldots", "cdots": "ldots", "colon": ":", "cosec": "csc", "tg": "tan", "ctg": "cot",
    "cotg": "cot", "arctg": "arctan", "infin": "infty", "varnothing": "emptyset", "thickapprox": "approx",
    "simeq": "approx", "varphi": "phi", "varepsilon": "epsilon", "imath": "i", "lparen": "(", "rparen": ")",
    "rightarrow": "to", "lg": "log", "percent": "%", "backslash": r"\setminus ",
}  # fmt: skip
