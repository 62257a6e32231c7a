#!/usr/bin/env python3
"""pkg_config - what CMake asks of pkg-config, answered from the .pc files of a packed folder.

A machine without package manager may lack pkg-config as well: pack.py puts this file beside the
libraries, and the build names it as PKG_CONFIG_EXECUTABLE. It knows what pack.py writes: variables,
Version, Libs and Cflags, everything already static.

SPDX-License-Identifier: Apache-2.0
"""

import re
import sys
from pathlib import Path

FOLDER = Path(__file__).resolve().parent.parent / "lib" / "pkgconfig"


def read(name: str) -> dict[str, str] | None:
    """Fields and variables of a package; None: it is not here."""
    path = FOLDER / f"{name}.pc"
    if not path.exists():
        return None
    fields = {"pcfiledir": str(FOLDER)}
    for line in path.read_text(encoding="utf-8").splitlines():
        found = re.match(r"(\w+)\s*[:=]\s*(.*)", line)
        if found:
            text = re.sub(r"\$\{(\w+)\}", lambda m: fields.get(m.group(1), ""), found.group(2))
            fields[found.group(1)] = text.strip()
    return fields


def words(packages: list[dict[str, str]], field: str) -> list[str]:
    return [word for package in packages for word in package.get(field, "").split()]


def answer(options: list[str], packages: list[dict[str, str]]) -> str:
    kinds = {
        "--libs": ("Libs", r""), "--libs-only-l": ("Libs", r"-l"),
        "--libs-only-L": ("Libs", r"-L"), "--libs-only-other": ("Libs", r"(?!-[lL])"),
        "--cflags": ("Cflags", r""), "--cflags-only-I": ("Cflags", r"-I"),
        "--cflags-only-other": ("Cflags", r"(?!-I)"),
    }
    said = []
    for option in options:
        if option.startswith("--variable="):
            said += [package.get(option.split("=", 1)[1], "") for package in packages]
        elif option == "--modversion":
            said += [package["Version"] for package in packages]
        elif option in kinds:
            field, pattern = kinds[option]
            said += [word for word in words(packages, field) if re.match(pattern, word)]
    return " ".join(said)


def main() -> int:
    options = [word for word in sys.argv[1:] if word.startswith("-")]
    if "--version" in options:
        print("0.29")
        return 0
    names = [re.split(r"[<>=]", word)[0] for word in sys.argv[1:] if not word.startswith("-")]
    packages = [read(name) for name in names if name and not name[0].isdigit()]
    if None in packages:
        return 1
    said = answer(options, [package for package in packages if package])
    if said:
        print(said)
    return 0


if __name__ == "__main__":
    sys.exit(main())
