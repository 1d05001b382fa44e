# SPDX-License-Identifier: Apache-2.0
"""What the journey reads in a page: forms with their fields, links, and the words below an id."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from html.parser import HTMLParser

VOID = frozenset(
    {"area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "source", "track", "wbr"}
)
UNSEEN = frozenset({"script", "style", "head", "noscript"})


@dataclass
class Form:
    """A form: where it goes, and the fields that a browser would send as they stand."""

    action: str
    fields: dict[str, str] = field(default_factory=dict)


class Markup(HTMLParser):
    """One page, read in one pass; elements that their author did not close end with their parent."""

    def __init__(self) -> None:
        """Begin with nothing read."""
        super().__init__(convert_charrefs=True)
        self.forms: dict[str, Form] = {}
        self.links: list[str] = []
        self._words: dict[str, list[str]] = defaultdict(list)
        self._open: list[tuple[str, str]] = []
        self._form: Form | None = None

    @classmethod
    def of(cls, text: str) -> Markup:
        """Return `text` as read."""
        made = cls()
        made.feed(text)
        made.close()
        return made

    @property
    def words(self) -> str:
        """Return all words that the page shows."""
        return self.words_of("")

    def words_of(self, identity: str) -> str:
        """Return the words below the element with this id, '' where there is none."""
        return " ".join(" ".join(self._words.get(identity, ())).split())

    def link(self, part: str) -> str:
        """Return the first address with `part` in it, '' where there is none."""
        return next((link for link in self.links if part in link), "")

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note forms, fields, links, and what is open."""
        known = {name: value or "" for name, value in attrs}
        if tag == "form":
            self._form = self.forms[known.get("id", "")] = Form(known.get("action", ""))
        elif tag == "input" and self._form is not None:
            self._keep(self._form, known)
        elif tag == "a" and known.get("href"):
            self.links.append(known["href"])
        if tag not in VOID:
            self._open.append((tag, known.get("id", "")))

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Take `<input/>` as `<input>`; anything else closed in itself holds nothing."""
        if tag in VOID:
            self.handle_starttag(tag, attrs)

    def handle_endtag(self, tag: str) -> None:
        """Close the element and what was left open in it."""
        if tag == "form":
            self._form = None
        if tag in {name for name, _ in self._open}:
            while self._open.pop()[0] != tag:
                pass

    def handle_data(self, data: str) -> None:
        """Keep words for the whole page and for each element with an id around them."""
        if UNSEEN & {tag for tag, _ in self._open}:
            return
        for identity in {"", *(identity for _, identity in self._open)}:
            self._words[identity].append(data)

    @staticmethod
    def _keep(form: Form, known: dict[str, str]) -> None:
        """Keep a field that is sent without anybody touching it."""
        kind = known.get("type", "text").lower()
        ticked = kind not in {"checkbox", "radio"} or "checked" in known
        if known.get("name") and ticked and kind not in {"submit", "button", "reset", "image", "file"}:
            form.fields[known["name"]] = known.get("value", "")
