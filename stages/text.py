"""Words and punctuation marks: the counting rules, written down once.

Every implementation of the features must pass the table of cases in `tests/stages/test_text.py`.

- A *word* is a run of letters and digits, joined over a single apostrophe inside it (``don't``, ``o’clock``),
  in lower case. Everything else separates words: ``well-known`` is two words, ``snake_case`` is two.
- A *punctuation mark* is one character of ``PUNCTUATION``; each character counts, inside words too.

Sentences are found in `readability_triton.stages.sentences`. These two rules stay our own: one pattern each, which the
device counts by too, and a library's words would differ where the vocabulary of the features was learned by these.
"""

import re
import string

PUNCTUATION = string.punctuation + "“”‘’«»–—…¡¿"

_WORD = re.compile(r"[^\W_]+(?:'[^\W_]+)*")
_MARK = re.compile("[" + re.escape(PUNCTUATION) + "]")


def words(text: str) -> list[str]:
    """The words of `text` in order, in lower case, with the curly apostrophe written as the straight one."""
    return _WORD.findall(text.lower().replace("’", "'"))


def count_punctuation(text: str) -> int:
    """How many characters of `text` are punctuation marks."""
    return len(_MARK.findall(text))
