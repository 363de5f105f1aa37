"""Write the pages that are named: `python -m pages speed robustness`."""

from __future__ import annotations

import argparse

from pages import PAGES, write

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("pages", nargs="+", choices=[*PAGES])
for page in parser.parse_args().pages:
    write(page)
