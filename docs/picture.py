"""Draw docs/demo.svg, the picture in the README, from a real run of the demo.

python docs/picture.py
"""

from __future__ import annotations

import io
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

from rich._export_format import CONSOLE_SVG_FORMAT
from rich.console import Console
from rich.text import Text

PICTURE = Path(__file__).with_name("demo.svg")
WIDTH = 100
#: The reader's own fonts, nothing that a page would have to fetch.
FORMAT = re.sub(r"@font-face \{\{.*?\}\}\s*", "", CONSOLE_SVG_FORMAT, flags=re.DOTALL)


def run() -> str:
    """What the demo prints to its standard output."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "protouser", "demo", "--report", "protouser-demo.html"]
        room = {**os.environ, "COLUMNS": str(WIDTH + 1)}
        done = subprocess.run(
            command, cwd=folder, env=room, capture_output=True, text=True, check=True
        )
    text = done.stdout.partition("\nLocust's HTML report")[0]
    # phases and queues are left out, so that it fits a page
    return "\n".join(line for line in text.splitlines() if not line.startswith(" " * 8))


def draw(text: str) -> str:
    """The text as an SVG image of a terminal."""
    console = Console(record=True, width=WIDTH, file=io.StringIO())
    console.print(Text("$ python3 run.py demo", style="bold green"))
    for line in text.splitlines():
        style = "bold" if line.startswith(("Type", "protouser:")) else ""
        console.print(Text(line, style=style))
    return console.export_svg(title="protouser demo", code_format=FORMAT)


if __name__ == "__main__":
    PICTURE.write_text(draw(run()), encoding="utf-8")
