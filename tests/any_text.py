"""Text that some layer between a document and a process may read as something else than itself."""

from __future__ import annotations

from typing import Final

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

PIECES: Final = (
    "{{", "}}", "{{=1}}", "{{=1+1}}", "{{workflow.name}}", "{{inputs.parameters.a}}", "{{item}}", "{{`", "{{-",
    "$(", ")", "$(x)", "$$(x)", "$$", "$", "$(params.a)", "$(params['a'])", "$(tasks.a.results.b)",
    "$(context.taskRun.name)", "$(steps.a.results.b)", "$(workspaces.flowcore.path)",
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
LONG: Final = st.builds(lambda text, times: text * times, PIECED, st.integers(100, 400))
TEXT: Final = PIECED | ANY | st.builds("{}\n".format, PIECED | ANY)


def texts(count: int, long: int) -> list[str]:
    """Each piece, and so many texts of each length, the same ones each time: for where every example costs a run."""
    return [*PIECES, *_drawn(TEXT, count), *_drawn(LONG.filter(lambda text: len(text) < 8000), long)]


def _drawn(strategy: st.SearchStrategy[str], count: int) -> list[str]:
    found: dict[str, None] = {}

    @settings(
        max_examples=2 * count,
        derandomize=True,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(strategy)
    def collect(text: str) -> None:
        found[text] = None

    collect()
    assert len(found) >= count
    return list(found)[:count]
