"""python -m tests.understanding [FILE.tsv ...] | train | folds: how well messages are understood.

A file has a message a line: intent, slots as JSON, text, with tabs between. `train` writes
content/intents/mind.json; `folds` learns five times without a fifth of tuning.tsv, and tells how
well that fifth is understood.
"""

import sys
from pathlib import Path

from content.load import load
from tests.understanding import learning
from tests.understanding.figures import figures, folds, table

HERE = Path(__file__).parent


def main(*asked: str) -> int:
    match asked:
        case ("train",):
            learning.save(learning.learn(learning.everything(), learning.hearing(), tell=print))
        case ("folds",):
            print(table(folds(print)))
        case _:
            paths = [Path(each) for each in asked] or sorted(HERE.glob("*.tsv"))
            for path in paths:
                if not path.is_file():
                    print(f"tests.understanding: there is no file {path}", file=sys.stderr)
                    return 2
                print(f"{path.name}\n{table(figures(learning.labelled(path), load()))}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
