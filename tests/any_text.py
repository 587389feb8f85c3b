"""Text that some layer between a document and a process may read as something else than itself."""

from __future__ import annotations

from random import Random
from typing import Final

from hypothesis import strategies as st

PIECES: Final = (
    "{{", "}}", "{{=1}}", "{{=1+1}}", "{{workflow.name}}", "{{inputs.parameters.a}}", "{{item}}", "{{`", "{{-",
    "$(", ")", "$(x)", "$$(x)", "$$", "$", "$(params.a)", "$(params['a'])", "$(tasks.a.results.b)",
    "$(context.taskRun.name)", "$(steps.a.results.b)", "$(steps.a.outputs.b)", "$(workspaces.flowcore.path)",
    "${{", "$${{", "${{ params.texts }}", "${x}", "$HOME", "`id`",
    "'", '"', "'''", '"""', "\\", "\\n", "\\u0024", "\\x41", "%s", "%", "#", "!", "&", ";", "|", "<", ">", "*", "~",
    "-", "--", "=", "@", ":", ",", "[", "]", "{", "}", "null", "true", "1e3", "0x1", "012", "EOF",
    " ", "  ", "\n", "\n\n", "\r", "\r\n", "\t", "\x01", "\x07", "\x1b[31m", "\x7f", "\x85",
    "a", "é", "e\u0301", "日本", "😀", "👩‍👧", "\u05d0\u05d1", "\u202e", "\u200b", "\u2028", "\ufeff", "\ufffd",
    "\uffff", "\U0010ffff",
)  # fmt: skip
"""What Argo, Tekton, Kubernetes, sh, Python, YAML and terminals have a meaning for."""

ANY: Final = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=40)
"""All that a process can be given: no NUL, no lone surrogate."""
PIECED: Final = st.lists(st.sampled_from(PIECES), max_size=8).map("".join)
TEXT: Final = PIECED | ANY | st.builds("{}\n".format, PIECED | ANY)


def texts(count: int, long: int) -> list[str]:
    """Each piece, and so many texts of each length; always the same, for where every example costs a run.

    Not drawn by hypothesis: what it draws depends on the modules that are loaded.
    """
    random = Random(count)

    def pieced(most: int) -> str:
        return "".join(random.choices(PIECES, k=random.randint(1, most)))

    def any_text() -> str:
        return "".join(chr(random.choice(_PLACES) + random.randrange(64)) for _ in range(random.randint(1, 30)))

    short = [random.choice((pieced(8), any_text())) + random.choice(("", "", "\n")) for _ in range(count)]
    return ["", *PIECES, *short, *(pieced(8) * random.randint(50, 150) for _ in range(long))]


_PLACES: Final = (0x01, 0x41, 0x80, 0xC0, 0x300, 0x590, 0x600, 0x2000, 0x2200, 0x3040, 0xFE00, 0xFFC0, 0x1F600, 0xE0000)
"""Where the characters are that something may change: controls, marks, right to left, blanks, joined, private."""
