"""Files as a stranger might write them, for hypothesis."""

import gzip
import json

from hypothesis import strategies as st

# What should be refused, words with a meaning in some format, numbers at the edges.
HOSTILE = (
    *("../x", "../../etc/passwd", "/etc/passwd", "..", ".", "a/b", "a\\b", "", " "),
    *("$(touch x)", "`touch x`", "a; touch x", "a' \"b", "a\nb", "a\rb", "a\x00b"),
    *("{x}", "{config}", "%s", "-rf", "--out", "=1+1", "\u2028", "\ud800", "\x1b[2J"),
    "n" * 10_000,
)
WORDS = (
    *("training", "testing", "test", "validation", "subset", "duration", "actions"),
    *("annotations", "segment", "label", "database", "results", "score", "class"),
    *("version", "c000", "c001", "0", "1", "run", "v1", "Ambiguous", "v_v1"),
)
NUMBERS = (
    *("0", "1", "2.5", "-1", "1e400", "nan", "inf", "-inf", "1e-400", "1_0", "०"),
    *("9" * 5000, "0x1", "1e3", "-0.0", "2**63", "99999999999999999999"),
)

texts = st.one_of(
    st.text(max_size=12), *(st.sampled_from(w) for w in (HOSTILE, WORDS, NUMBERS))
)
numbers = st.one_of(
    st.integers(-3, 30),
    st.floats(),
    st.sampled_from([10**400, -(2**63), 2**64, 1e308, -0.0]),
)
values = st.recursive(
    st.one_of(st.none(), st.booleans(), numbers, texts),
    lambda inner: st.one_of(
        st.lists(inner, max_size=4), st.dictionaries(texts, inner, max_size=4)
    ),
    max_leaves=12,
)


def as_json(content):
    """Any such value as JSON text; what JSON cannot say is written as Python does."""
    return json.dumps(content).encode("utf-8", "surrogatepass")


def tables(columns, separator=","):
    """Tables with this header, now and then without some of it."""
    cells = st.lists(texts, min_size=len(columns) - 1, max_size=len(columns) + 1)
    header = st.one_of(st.just(list(columns)), st.permutations(list(columns)), cells)

    def text(table):
        lines = [separator.join(line) for line in table]
        return "\n".join(lines).encode("utf-8", "surrogatepass")

    rows = st.lists(cells, max_size=4)
    return st.builds(lambda head, rest: text([head, *rest]), header, rows)


def files(*shapes):
    """Bytes of a file: of these shapes, any text or bytes, deep nests, gzip of it."""
    plain = st.one_of(
        *shapes,
        *shapes,
        st.binary(max_size=60),
        texts.map(lambda text: text.encode("utf-8", "surrogatepass")),
        values.map(as_json),
        st.sampled_from(
            [b"[" * 100_000, b'{"a":' * 100_000, b"\xef\xbb\xbf", b"PK\x03\x04"]
        ),
        st.just(b'"' + b"x" * 200_000),
        st.just(b'{"a": ' + b"9" * 5000 + b"}"),
    )
    packed = plain.map(gzip.compress)
    return st.one_of(plain, plain, packed, packed.map(lambda data: data[:-9]))
