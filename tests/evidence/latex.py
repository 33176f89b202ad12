"""Whether LaTeX would compile, as far as its text tells."""

import re


def unbalanced(latex: str) -> str:
    """What keeps LaTeX from compiling: braces, environments, columns, characters that must be commands."""
    bare = re.sub(r"\\[\\&%$#_{}]", "", re.sub(r"^%.*$", "", latex, flags=re.MULTILINE))
    depth = 0
    for character in bare:
        depth += (character == "{") - (character == "}")
        if depth < 0:
            return "a brace closes that none opened"
    if depth:
        return "a brace stays open"
    opened = []
    for kind, name in re.findall(r"\\(begin|end)\{(\w+)\}", bare):
        if kind == "begin":
            opened.append(name)
        elif not opened or opened.pop() != name:
            return f"{name} ends out of place"
    if opened or bare.count("$") % 2 or re.search(r"[#_^~]", re.sub(r"\\(label|input)\{[^}]*\}", "", bare)):
        return "an environment, mathematics or a special character stays open"
    kinds = re.search(r"\{@\{\}([lr]+)@\{\}\}", latex)
    body = latex.partition(r"\toprule")[2].partition(r"\bottomrule")[0]
    for line in body.splitlines():
        if line.endswith(r"\\"):
            spans = sum(int(span) - 1 for span in re.findall(r"\\multicolumn\{(\d+)\}", line))
            if len(re.findall(r"(?<!\\)&", line)) + 1 + spans != len(kinds[1]):
                return f"{line!r} has not {len(kinds[1])} columns"
    return ""
