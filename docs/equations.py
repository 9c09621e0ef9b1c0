r"""The equations of docstrings as TeX: `sum_{j in where_i} exp(s_ij / T)` is plain text in `help()`, mathematics on the site.

What a docstring writes and what becomes of it:

    s_ij   w_{y_i}   s_(k)   x^2   D^-1/2        subscripts and powers
    sum_i   mean_{positives_i}   max_k           operators, with what they run over below
    [x]+                                         the positive part
    alpha   log2   sqrt(...)   <=   !=   ->      Greek letters, functions, relations
    z . w   P(j | i)   KL(p || q)                with space around: a product, a condition, a divergence
    temperature   mean over pairs of             words stay words
    two lines, or two statements with `,   `     two rows; a row's indentation is that of what is above

An indented block that is code, a table of shapes or a command stays what it is (`is_equation`).
"""

import re

GREEK = "alpha beta gamma delta epsilon eps lambda mu nu phi psi pi rho sigma tau theta omega"
LETTERS = {name: rf"\{name} " for name in GREEK.split()} | {"eps": r"\varepsilon "}
LETTERS |= {"epsilon": LETTERS["eps"], "inf": r"\infty ", "dL": "dL", "ds": "ds"}
PLAIN = "log exp cos sin tan tanh max min sum prod"
FUNCTIONS = {name: rf"\{name} " for name in PLAIN.split()}
FUNCTIONS |= {"log2": r"\log_2 "}
FUNCTIONS |= {name: rf"\operatorname*{{{name}}}" for name in ("mean", "argmax", "argmin")}
NAMED = "softmax sigmoid relu gelu huber unit normalize diag std var cov mse floor round"
FUNCTIONS |= {name: rf"\operatorname{{{name}}}" for name in NAMED.split()}
FUNCTIONS |= {name: rf"\operatorname{{{name}}}" for name in ("KL", "CE", "BCE", "CDF", "MLP")}
RUNNING = {"sum", "prod", "mean", "max", "min", "softmax"}  # prose before a word: "mean over pairs"
SYMBOLS = {
    "->": r"\to ",
    "<-": r"\leftarrow ",
    "<=": r"\le ",
    ">=": r"\ge ",
    "!=": r"\ne ",
    "...": r"\ldots ",
    "..": r"\ldots ",
    "*": r"\cdot ",
    "~": r"\sim ",
    "{": r"\{",
    "}": r"\}",
    "#": r"\#",
    "%": r"\%",
    "&": r"\&",
    "$": r"\$",
}
RELATIONS = {"->", "<-", "<=", ">=", "!=", "=", "<", ">", "+", "-", "*", "/", "~", ",", ";", ":"}
# A word, an underscore and a few letters are a name with an index, but for these.
WHOLE = {"info_nce", "fast_ap", "smooth_ap", "log_q"}
ROMAN = {"aux", "label", "max", "min", "positive"}
PROSE_AFTER_IN = {"the", "both", "place", "order", "height", "nats", "all", "this"}
PAIRS = {"(": ")", "[": "]", "{": "}"}
TOKEN = re.compile(
    r"""\s+ | `[^`]*` | 0F1 | \d+(?:\.\d+)?(?:e-?\d+)?
    | [A-Za-z]+'s\b | [A-Za-z]+\d*(?:_[A-Za-z0-9]+)*'* | [A-Za-z]+-[a-z]+
    | -> | <- | <= | >= | != | \|\| | \.\.\. | \.\. | . """,
    re.VERBOSE,
)
CODE = re.compile(
    r"""["\#]|^@|^python\ -m|^\s*--|\b[a-z]\w*\.[A-Za-z_]\w*|\bdef\b|\blambda\b   # strings, calls, commands
    |\w(?<!\bin)\ \[[a-z]\w*(?:,\ [\w\ +]+)*\]|^preset\(|=\w+\(""",  # arrays with their shapes
    re.VERBOSE | re.MULTILINE,
)


def is_equation(block):
    """Whether an indented block of a docstring is an equation: neither code nor shapes nor a command."""
    return bool(re.search(r"[=^(|+>_]", block)) and not CODE.search(block)


def tex(block):
    """The TeX of an equation in the notation of docstrings."""
    rows = []
    above = ""  # the first line of the statement, whose columns a later line is under
    for line in block.splitlines():
        if not line.strip():
            continue
        text = line.strip()
        indent = len(line) - len(line.lstrip())
        if indent == 0:
            above = line
        head, *others = statements(text)
        sign = "{}" if rows and head[0] in "+-" else ""  # of two terms, and not of one
        rows.append(space_under(above, indent) + sign + row(head))
        rows += [row(other) for other in others]
    rows[-1] = rows[-1].removesuffix(",")
    if len(rows) == 1:
        return rows[0]
    return r"\begin{aligned} " + r" \\ ".join(f"&{r}" for r in rows) + r" \end{aligned}"


def statements(line):
    """A line's statements, which a comma or semicolon and several spaces divide, outside of parentheses."""
    parts, depth, start = [], 0, 0
    for place, letter in enumerate(line):
        depth += (letter in "([{") - (letter in ")]}")
        if letter in ",;" and depth == 0 and line[place + 1 : place + 3] == "  ":
            parts.append(line[start:place])
            start = place + 1
    return [part.strip() for part in [*parts, line[start:]]]


def space_under(above, indent):
    """What moves a row to the right, under the same column of the line above."""
    if indent == 0:
        return ""
    prefix = above[:indent]
    if above and prefix.count("(") == prefix.count(")") and above[indent - 1 : indent] == " ":
        return rf"\phantom{{{row(prefix.strip())}}}\,"
    return r"\qquad "


def row(text):
    """The TeX of one row."""
    return "".join(Row(TOKEN.findall(text)).all())


class Row:
    """A row's tokens, read from left to right."""

    def __init__(self, tokens):
        self.tokens, self.place = tokens, 0
        self.operator = False  # whether what was just written is one, with its index: TeX spaces it

    def all(self):
        """The TeX of every token."""
        return list(self.until(None))

    def peek(self, ahead=0):
        """The token so many places ahead, an empty string outside of the row."""
        place = self.place + ahead
        return self.tokens[place] if 0 <= place < len(self.tokens) else ""

    def until(self, closing):
        """The TeX of the tokens up to a closing bracket, which is taken too."""
        while self.place < len(self.tokens):
            token = self.tokens[self.place]
            if token == closing:
                self.place += 1
                return
            yield self.one(token)

    def one(self, token):
        """The TeX of what begins with a token, the last that was looked at."""
        before, after = self.peek(-1), self.peek(1)
        if token.isspace():
            self.place += 1
            return self.gap(token, before, after)
        if token not in "_^":
            self.operator = False
        if self.is_word(self.place):
            return self.words()
        self.place += 1
        if token in "_^":
            operator, script = self.operator, self.script()
            self.operator = operator
            return token + "{" + script + "}"
        if token == "]" and after == "+" and (self.peek(1) in " ,)^;]" or not self.peek(1).strip()):
            self.place += 1
            return "]_+"
        if token in PAIRS:
            return self.group(token)
        if token == "not":
            self.place += 2
            return r"\notin "
        if token == "in":
            return r"\in "
        if token == "||":
            return r"\,\Vert\,"
        if token == "|" and before.isspace() and after.isspace():
            return r"\mid "
        if token == "." and before.isspace() and after.isspace():
            return r"\cdot "
        if token == ":":
            return r"\colon " if after.isspace() else "{:}"
        if token in "+-" and (not before or before.isspace()) and after and not after.isspace():
            return "{" + token + "}" if self.is_word(self.place - 3) else token
        if token == "0F1":
            return r"{}_0F_1"
        if token[0].isdigit():
            base, _, power = token.partition("e")
            return (
                (f"10^{{{power}}}" if base == "1" else rf"{base}\cdot 10^{{{power}}}")
                if power
                else token
            )
        if token[0] == "`":
            return rf"\texttt{{{escaped(token.strip('`'))}}}"
        if re.fullmatch("[A-Za-z]'s", token):
            return rf"{token[0]}\text{{'s}}"
        if token[0].isalpha():
            self.operator = self.is_function(token)
            return self.name(token)
        return SYMBOLS.get(token, token)

    def gap(self, token, before, after):
        """What a space between two tokens is."""
        if not before or not after or before in PAIRS or after in PAIRS.values():
            return ""
        if before in ",;":
            return r"\ "
        signed = before in "+-" and self.peek(-3) in ("^", "]")
        unary = after in "+-" and not self.peek(1).isspace() and self.is_word(self.place - 2)
        if (
            (after in RELATIONS and not unary)
            or (before in RELATIONS and not signed)
            or "||" in (before, after)
        ):
            return ""
        if len(token) > 1:
            return r"\quad "
        if self.is_word(self.place - 2) or self.is_word(self.place):
            return r"\ "
        spaced = {"in", "not", ".", "|"} & {before, after}
        return "" if spaced or self.operator or self.is_function(after) else r"\,"

    def is_function(self, token):
        """Whether a token, without its index, is the name of a function."""
        return token.partition("_")[0] in FUNCTIONS and token not in WHOLE

    def is_word(self, place):
        """Whether a token is prose, or a name without index: several letters that are no function."""
        token = self.tokens[place] if 0 <= place < len(self.tokens) else ""
        following = self.tokens[place + 1 : place + 3]
        next_word = following[1] if len(following) == 2 and following[0].isspace() else ""
        prose_next = bool(re.fullmatch(r"[a-z]{2,}", next_word)) and next_word not in FUNCTIONS
        if token == "a":
            return prose_next and next_word not in LETTERS and next_word != "in"
        if token in RUNNING:
            return next_word in {"of", "over"} or next_word.isdigit()
        if token == "in":
            return next_word in PROSE_AFTER_IN or next_word[:1] == "`"
        if token == "not" and next_word == "in":
            return False
        if not re.fullmatch(r"[A-Za-z]{2,}('s)?|[A-Za-z]+-[a-z]+|\w+-th", token):
            return False
        return token not in FUNCTIONS and token not in LETTERS and token != "sqrt"

    def words(self):
        """All words that follow one another, as one text."""
        words = [self.tokens[self.place]]
        self.place += 1
        while self.peek().isspace() and self.is_word(self.place + 1):
            words.append(self.peek(1))
            self.place += 2
        return rf"\text{{{escaped(' '.join(words))}}}"

    def group(self, opening):
        """A bracket and what it holds; one that is closed in another row stays as it is."""
        start, closing = self.place, PAIRS[opening]
        depth = 1
        for place in range(start, len(self.tokens)):
            depth += (self.tokens[place] == opening) - (self.tokens[place] == closing)
            if depth == 0:
                break
        else:
            return SYMBOLS.get(opening, opening)
        inside = "".join(self.until(closing))
        self.operator = False
        tall = any(
            sign in inside for sign in (r"\sum ", r"\prod ", "{mean}_", r"\max _", r"\min _")
        )
        left, right = (r"\left", r"\right") if tall else ("", "")
        whole = (
            f"{left}{SYMBOLS.get(opening, opening)}{inside}{right}{SYMBOLS.get(closing, closing)}"
        )
        if closing == "]" and self.peek() == "+" and not re.match(r"\w", self.peek(1) or " "):
            self.place += 1
            whole += "_+"
        return whole

    def script(self):
        """What is raised or lowered: a bracketed group, a signed number, a sign or a name."""
        token = self.peek()
        self.place += 1
        if token == "{":
            return "".join(self.until("}"))
        if token == "(":
            inside = "".join(self.until(")"))
            return inside if self.tokens[self.place - 1] == ")" and self.raised() else f"({inside})"
        if token in "+-" and token:
            following = self.peek()
            if not following or not re.match(r"[\dA-Za-z]", following):
                return token
            return token + self.script()
        if token[:1].isdigit() and self.peek() == "/" and self.peek(1).isdigit():
            self.place += 2
            return f"{token}/{self.tokens[self.place - 1]}"
        if re.fullmatch(r"[A-Za-z]+", token) and token not in LETTERS:
            return indices(token)
        return self.name(token) if token[:1].isalpha() else token

    def raised(self):
        """Whether the bracketed group that was just read follows a ^."""
        depth, place = 0, self.place - 1
        while place >= 0:
            depth += (self.tokens[place] == ")") - (self.tokens[place] == "(")
            if depth == 0:
                break
            place -= 1
        return place > 0 and self.tokens[place - 1] == "^"

    def name(self, token):
        """A letter, a function or a name, with its primes and its index."""
        primes = len(token) - len(token.rstrip("'"))
        base, _, index = token.rstrip("'").partition("_")
        if base == "sqrt" and not index and self.peek() == "(":
            self.place += 1
            return r"\sqrt{" + "".join(self.until(")")) + "}"
        whole = token.rstrip("'") in WHOLE or len(index.split("_")) > 1
        short = len(index) <= 3 or index in ROMAN
        if index and (whole or not (len(base) == 1 or short)):
            return rf"\mathrm{{{escaped(token)}}}"
        made = (
            LETTERS.get(base)
            or FUNCTIONS.get(base)
            or (base if len(base) == 1 else rf"\text{{{base}}}")
        )
        if base == "mean" and not index and self.peek() != "_":
            made = r"\text{mean}"
        if re.fullmatch(r"[A-Za-z]\d+", base):
            made = rf"\mathrm{{{base}}}" if index else f"{base[0]}_{base[1:]}"
        if primes:
            made = "{" + made + "'" * primes + "}"
        return made + (f"_{{{indices(index)}}}" if index else "")


def indices(text):
    """An index: letters one after the other, or a word."""
    return rf"\text{{{text}}}" if text in ROMAN or len(text) > 3 else text


def escaped(text):
    """A text with the characters escaped that TeX reads as commands."""
    return re.sub(r"([_#%&${}])", r"\\\1", text)
