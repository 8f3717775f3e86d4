"""Build the wheel; every tracked file of the packages must be in it, and it must work by itself."""

import os
import subprocess
import sys
import tempfile
import tomllib
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
IMPORT_ALL = """
import sys; sys.path.insert(0, sys.argv[1])
import pipelines.registry
found = pipelines.registry.all_pipelines()
assert pipelines.registry.__file__.startswith(sys.argv[1]), pipelines.registry.__file__
print(f"the wheel works: {len(found)} pipelines")
"""


def main() -> int:
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())
    packages = settings["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--", *packages], cwd=ROOT, capture_output=True, check=True
    )
    tracked = {name for name in listed.stdout.decode().split("\0") if name}
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "build", "--wheel", "--outdir", folder, str(ROOT)]
        built = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        if built.returncode:
            print(built.stdout)
            return 1
        (wheel,) = Path(folder).glob("*.whl")
        with zipfile.ZipFile(wheel) as archive:
            packed = {name for name in archive.namelist() if ".dist-info/" not in name}
            archive.extractall(Path(folder) / "unpacked")
        problems = [f"not in the wheel: {name}" for name in sorted(tracked - packed)]
        problems += [f"in the wheel by accident: {name}" for name in sorted(packed - tracked)]
        print(*problems, f"{wheel.name}: {len(packed)} files, {wheel.stat().st_size / 1e6:.1f} MB", sep="\n")
        alone = [sys.executable, "-c", IMPORT_ALL, str(Path(folder, "unpacked").resolve())]
        works = subprocess.run(alone, cwd=folder, env={**os.environ, "PYTHONSAFEPATH": "1"})
    return 1 if problems or works.returncode else 0


if __name__ == "__main__":
    raise SystemExit(main())
