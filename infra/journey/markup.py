# SPDX-License-Identifier: Apache-2.0
"""What the journey reads in a page: forms with their fields, links, and the words below an id."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from bs4 import BeautifulSoup

if TYPE_CHECKING:
    from bs4 import Tag

UNSEEN = ["script", "style", "head", "noscript"]
UNSENT = {"submit", "button", "reset", "image", "file"}  # unless somebody presses or fills them
TICKED = {"checkbox", "radio"}


@dataclass
class Form:
    """A form: where it goes, and the fields that a browser would send as they stand."""

    action: str
    fields: dict[str, str] = field(default_factory=dict)


class Markup:
    """One page as a browser without scripts shows it."""

    def __init__(self, text: str) -> None:
        """Read `text`; elements that their author did not close end with their parent."""
        self._page = BeautifulSoup(text, "html.parser")
        for unseen in self._page(UNSEEN):
            unseen.decompose()

    @property
    def words(self) -> str:
        """Return all words that the page shows."""
        return _words(self._page)

    def words_of(self, identity: str) -> str:
        """Return the words below the element with this id, '' where there is none."""
        found = self._page.find(id=identity)
        return _words(found) if found else ""

    def form(self, identity: str) -> Form | None:
        """Return the form with this id, None where there is none."""
        found = self._page.find("form", id=identity)
        if found is None:
            return None
        sent = [one for one in found.find_all("input") if _is_sent(one)]
        fields = {str(one["name"]): str(one.get("value", "")) for one in sent}
        return Form(str(found.get("action", "")), fields)

    def link(self, part: str) -> str:
        """Return the first address with `part` in it, '' where there is none."""
        links = [str(one["href"]) for one in self._page.find_all("a", href=True)]
        return next((link for link in links if part in link), "")


def _words(element: Tag) -> str:
    return " ".join(element.get_text(" ").split())


def _is_sent(field: Tag) -> bool:
    """Tell whether an input is sent without anybody touching it."""
    kind = str(field.get("type", "text")).lower()
    ticked = kind not in TICKED or field.has_attr("checked")
    return bool(field.get("name")) and ticked and kind not in UNSENT
