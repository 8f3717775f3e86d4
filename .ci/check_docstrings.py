"""Hold the docstrings of the public science to numpydoc's rules.

Read from the imported objects, since the parameters of a dataclass or of a registered pipeline are
not in the text of any function. Short docstrings may do without sections, but a section that is
there is whole: every parameter is in it, in order, with its type and words.
"""

import importlib
import inspect
import pkgutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from numpydoc.docscrape import get_doc_object
from numpydoc.validate import validate

PACKAGES = ("pipelines", "simulators")
CHECKS = {
    *("GL01", "GL02", "GL05", "GL06", "GL07"),  # layout, and sections in numpydoc's order
    *("SS01", "SS04", "SS06"),  # a summary, on one line
    *("PR01", "PR02", "PR03", "PR04", "PR06", "PR07", "PR10"),  # parameters
    "RT03",  # what is returned, in words
}


def main() -> int:
    faults = 0
    for name, documented in public_objects():
        if not inspect.getdoc(documented):
            continue  # ruff asks for a docstring where one is due
        answer = validate(get_doc_object(documented))
        has_parameters = "Parameters\n---" in (inspect.getdoc(documented) or "")
        for code, words in answer["errors"]:
            if code in CHECKS and (has_parameters or code != "PR01"):
                faults += 1
                print(f"{name}: {code} {words}")
    print(f"{faults} faults in docstrings")
    return 1 if faults else 0


def public_objects() -> Iterator[tuple[str, Any]]:
    """Public functions, classes, their public methods, and the functions behind pipelines."""
    from pipelines.registry import Pipeline

    for package in map(importlib.import_module, PACKAGES):
        for found in pkgutil.walk_packages(package.__path__, prefix=f"{package.__name__}."):
            if found.name.rpartition(".")[2].startswith("_"):
                continue
            for name, value in vars(importlib.import_module(found.name)).items():
                value = value.function if isinstance(value, Pipeline) else value
                if name.startswith("_") or getattr(value, "__module__", None) != found.name:
                    continue
                if inspect.isclass(value) or inspect.isfunction(value):
                    yield f"{found.name}.{name}", value
                for part, method in vars(value).items() if inspect.isclass(value) else ():
                    if inspect.isfunction(method) and not part.startswith("_"):
                        yield f"{found.name}.{name}.{part}", method


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
    raise SystemExit(main())
