"""HTML pages as tests read them."""

from __future__ import annotations

import re
from html.parser import HTMLParser


class Page(HTMLParser):
    """Elements and texts of a page; raises if elements are not nested properly."""

    VOID = ("meta", "img", "input", "br", "wbr")

    def __init__(self, text):
        super().__init__()
        self.open, self.elements, self.words = [], [], []
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.words.append(data)

    def all(self, tag, **attributes):
        wanted = attributes.items()
        return [attrs for name, attrs in self.elements if name == tag and wanted <= attrs.items()]


def loads_nothing(page):
    """Whether a page is complete without other files and without a network."""
    parsed = Page(page)
    return (
        all(image["src"].startswith("data:image/webp;base64,") for image in parsed.all("img"))
        and not parsed.all("link")
        and not any("src" in script for script in parsed.all("script"))
        and not re.search(r"url\(|@import|https?://", page)
    )
