"""Geosoft XYZ: rows of numbers under headers that begin each flight line.

A header is a word and a name: ``LINE 1001``, ``TIE 9003``. ``/`` begins a comment, and the names of
the columns, if given at all, are in the last comment that has as many words as a row has fields.
``*`` is null.
"""

import re
from collections.abc import Sequence

# Words that begin a line of the survey in an exported XYZ file, and what they mean for us.
LINE_WORDS = {
    "line": "line",
    "tie": "tie",
    "random": "line",
    "test": "line",
    "base": "line",
    "special": "line",
}
HEADER = re.compile(rf"({'|'.join(LINE_WORDS)})(?:\s+|\s*[:=]\s*)(\S+)\s*$", re.IGNORECASE)


def parse_header(text: str) -> tuple[str, str]:
    """Return type ("line" or "tie") and name of the line that the header *text* begins.

    The name keeps what tells lines of different kinds with one number apart: a tie called 10 is not
    the line called 10, so callers key lines by both.
    """
    match = HEADER.match(text)
    if match is None:
        raise ValueError(f"not a line header: {text!r}")
    return LINE_WORDS[match[1].lower()], match[2]


def names_from_comments(
    comments: Sequence[str], fields: int, delimiter: str | None
) -> tuple[str, ...] | None:
    """Find the column names in the comments above the rows, or None."""
    for comment in reversed(comments):
        words = [word.strip() for word in comment.strip("/#%! \t").split(delimiter)]
        if len(words) == fields and all(re.search("[A-Za-z]", word) for word in words):
            return tuple(words)
    return None
