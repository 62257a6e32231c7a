"""scripts/gpu_check --pack DIR: what a build must have, from this machine into one folder.

The machine with the device has a compiler, the CUDA toolkit, CMake and ninja, but nothing can be
installed there. Packed are headers and libraries (static where Debian has them) of jansson, libpng,
zlib, libcrypto, cmocka and SentencePiece, a .pc file for each, and a stand-in for pkg-config. Left
out, and switched off in that build: oneDNN, JPEG, WebP. The folder may be moved as a whole.

SPDX-License-Identifier: Apache-2.0
"""

import shutil
import subprocess
from pathlib import Path

LIMIT = 50 << 20  # bytes of a pack

# Package -> headers below /usr/include, libraries, what is linked.
PACKAGES = {
    "jansson": (["jansson.h", "jansson_config.h"], ["libjansson.a"], "-ljansson"),
    "libpng": (["libpng16", "png.h", "pngconf.h", "pnglibconf.h"], ["libpng16.a", "libz.a"],
               "-lpng16 -lz -lm"),
    "zlib": (["zlib.h", "zconf.h"], [], "-lz"),
    "libcrypto": (["openssl"], ["libcrypto.a"], "-lcrypto -ldl -pthread"),
    "cmocka": (["cmocka.h"], ["libcmocka.so.0", "libcmocka.so"], "-lcmocka"),
    "sentencepiece": (["sentencepiece_processor.h", "sentencepiece_trainer.h"],
                      ["libsentencepiece.so.0", "libsentencepiece.so"], "-lsentencepiece"),
}


class Missing(Exception):
    """Something that the pack needs is not on this machine."""


def folders(kind: str) -> list[Path]:
    """Where the compiler looks: the folder of this architecture first."""
    said = subprocess.run(["cc", "-print-multiarch"], capture_output=True, text=True, check=True)
    base = Path("/usr") / kind
    return [base / said.stdout.strip(), base]


def copy(kind: str, name: str, target: Path) -> None:
    """A file or folder of that name. Parts of one folder may lie in both places."""
    found = [folder / name for folder in folders(kind) if (folder / name).exists()]
    if not found:
        raise Missing(f"{name} is not below /usr/{kind}: run scripts/setup")
    for path in reversed(found):  # the architecture's own last: it wins
        if path.is_dir():
            shutil.copytree(path, target / name, dirs_exist_ok=True)
        else:
            shutil.copyfile(path, target / name)  # a link becomes what it points to


def version(package: str) -> str:
    said = subprocess.run(["pkg-config", "--modversion", package], capture_output=True, text=True,
                          check=False)
    return said.stdout.strip() or "0"


def pc_file(package: str, link: str) -> str:
    return (f"prefix=${{pcfiledir}}/../..\nlibdir=${{prefix}}/lib\nincludedir=${{prefix}}/include\n"
            f"Name: {package}\nDescription: packed\nVersion: {version(package)}\n"
            f"Libs: -L${{libdir}} {link}\nCflags: -I${{includedir}}\n")


def size(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def pack(folder: Path) -> int:
    """Fills the folder; its bytes."""
    include, lib, tools = folder / "include", folder / "lib", folder / "bin"
    for path in (include, lib / "pkgconfig", tools):
        path.mkdir(parents=True, exist_ok=True)
    for package, (headers, libraries, link) in PACKAGES.items():
        for name in headers:
            copy("include", name, include)
        for name in libraries:
            copy("lib", name, lib)
        (lib / "pkgconfig" / f"{package}.pc").write_text(pc_file(package, link), encoding="utf-8")
    stand_in = tools / "pkg-config"
    shutil.copyfile(Path(__file__).parent / "pkg_config.py", stand_in)
    stand_in.chmod(0o755)
    bytes_ = size(folder)
    if bytes_ > LIMIT:
        raise Missing(f"the pack has {bytes_ >> 20} MiB, allowed are {LIMIT >> 20}")
    return bytes_


def options(folder: Path) -> list[str]:
    """What CMake is told about it; nothing without a pack, when the machine has the libraries."""
    if not folder.exists():
        return []
    folder = folder.resolve()
    return [f"-DCMAKE_PREFIX_PATH={folder}", f"-DPKG_CONFIG_EXECUTABLE={folder}/bin/pkg-config"]
