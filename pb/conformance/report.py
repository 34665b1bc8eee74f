"""What came of the cases, as text, JSON and HTML."""

from __future__ import annotations

import html
import json
from collections import Counter
from collections.abc import Sequence

from .run import FAILED, MISSES, PASSED, Result

_MARKS = {"passed": "✓", "failed": "✗", "skipped": "–"}
_STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 64rem; padding: 0 1rem }
body { color: #222 }
table { border-collapse: collapse; width: 100% }
td, th { text-align: left; padding: .3rem .6rem; vertical-align: top }
tr + tr { border-top: 1px solid #ddd }
.passed td:first-child { color: #087 }
.failed td:first-child { color: #b00 }
.failed { background: #fee }
.skipped { color: #777 }
pre { white-space: pre-wrap; font-size: 13px; margin: 0 }
.bar { display: flex; height: 1rem; border-radius: .5rem; overflow: hidden; margin: 1rem 0 }
@media (prefers-color-scheme: dark) {
  body { background: #181818; color: #ddd }
  tr + tr { border-color: #333 }
  .failed { background: #411 }
}
"""


def line(result: Result) -> str:
    """Return a result as one line, with its log where it has failed."""
    case = result.case
    text = f"{_MARKS[result.outcome]} {case.name}  {case.title}  [{' '.join(case.rules)}]"
    if result.outcome == PASSED:
        return text
    text += f"\n    {_printable(result.text)}"
    if result.outcome == FAILED:
        text += "".join(f"\n      {_printable(entry)}" for entry in result.log[-12:])
    return text


def _printable(text: str) -> str:
    """Escape what the side under test has said, so that no terminal obeys it."""
    return "".join(char if char.isprintable() else ascii(char)[1:-1] for char in text)


def stopped(left: int) -> str:
    """Return why so many cases were not run."""
    return f"stopped: {MISSES} cases in a row met nobody, so {left} were not run"


def summary(results: Sequence[Result]) -> str:
    """Return how many of each there are."""
    counts = Counter(result.outcome for result in results)
    return f"{counts['passed']} passed, {counts['failed']} failed, {counts['skipped']} skipped"


def as_json(results: Sequence[Result], about: dict[str, str]) -> str:
    """Return everything, for programs."""
    rows = [
        {
            "case": result.case.name,
            "title": result.case.title,
            "rules": list(result.case.rules),
            "level": result.case.level,
            "outcome": result.outcome,
            "text": result.text,
            "log": list(result.log),
            "took_s": round(result.took_s, 4),
        }
        for result in results
    ]
    return json.dumps({**about, "summary": summary(results), "results": rows}, indent=1, ensure_ascii=False)


def as_html(results: Sequence[Result], about: dict[str, str]) -> str:
    """Return a page for people."""
    counts = Counter(result.outcome for result in results)
    total = max(len(results), 1)
    colours = {"passed": "#2a8", "failed": "#c33", "skipped": "#bbb"}
    bar = "".join(
        f'<span style="width:{100 * counts[name] / total:.2f}%;background:{colour}"></span>'
        for name, colour in colours.items()
    )
    rows = "".join(
        f'<tr class="{result.outcome}"><td>{_MARKS[result.outcome]}</td>'
        f"<td>{html.escape(result.case.name)}</td><td>{html.escape(result.case.title)}{_details(result)}</td>"
        f"<td>{html.escape(' '.join(result.case.rules))}</td></tr>\n"
        for result in results
    )
    told = " · ".join(f"{html.escape(key)}: {html.escape(value)}" for key, value in about.items())
    return (
        '<!doctype html>\n<html lang="en"><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width"><title>Conformance to PB/1</title>'
        f"<style>{_STYLE}</style>\n<h1>Conformance to PB/1</h1>\n<p>{told}</p>\n"
        f'<p><strong>{summary(results)}</strong></p><div class="bar">{bar}</div>\n'
        f"<table><tr><th></th><th>case</th><th>what must be</th><th>rules</th></tr>\n{rows}</table></html>\n"
    )


def _details(result: Result) -> str:
    if not result.text:
        return ""
    log = "\n".join(result.log)
    shown = f"<details><summary>messages</summary><pre>{html.escape(log)}</pre></details>" if log else ""
    return f"<div><em>{html.escape(result.text)}</em></div>{shown}"
