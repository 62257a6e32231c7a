"""ptx_text - the text of a PTX module as kernels with lists of instructions.

Registers and labels become unique names on the way: inline asm declares its own in nested scopes,
under names that occur many times.

SPDX-License-Identifier: Apache-2.0
"""

import re
from dataclasses import dataclass, field


class Untranslatable(Exception):
    """Something in the module that the simulator cannot run, in one sentence."""


@dataclass
class Label:
    name: str


@dataclass
class Instruction:
    guard: str  # a C++ condition: empty, or a predicate or its negation
    opcode: str
    operands: list


@dataclass
class Kernel:
    name: str
    parameters: dict = field(default_factory=dict)  # name: offset in bytes
    registers: dict = field(default_factory=dict)  # C++ name: PTX type
    local: dict = field(default_factory=dict)  # name: (bytes, alignment)
    shared: dict = field(default_factory=dict)  # name: offset; static arrays
    shared_bytes: int = 0
    body: list = field(default_factory=list)


@dataclass
class Module:
    kernels: list
    dynamic_shared: set  # names that mean the start of dynamic shared memory
    arrays: dict  # name: list of bytes; global and constant memory with contents


def bytes_of(ptx_type):
    return max(int(re.sub(r"\D", "", ptx_type)) // 8, 1)


def split_operands(text):
    """By the commas that are in no bracket."""
    parts, depth, current = [], 0, ""
    for character in text:
        depth += {"{": 1, "[": 1, "}": -1, "]": -1}.get(character, 0)
        if character == "," and depth == 0:
            parts.append(current.strip())
            current = ""
        else:
            current += character
    return parts + [current.strip()] if current.strip() else parts


def events(text, start):
    """('open',), ('close',), ('label', name), ('code', statement): a body up to its last brace.
    `start` is behind its first one."""
    found, at, depth = [], start, 1
    label = re.compile(r"([$\w]+):(?!:)")
    while depth:
        while text[at].isspace():
            at += 1
        named = label.match(text, at)
        if text[at] in "{}":
            depth += 1 if text[at] == "{" else -1
            found.append(("open" if text[at] == "{" else "close",))
            at += 1
        elif named:
            found.append(("label", named.group(1)))
            at = named.end()
        else:
            end = text.index(";", at)
            found.append(("code", " ".join(text[at:end].split())))
            at = end + 1
    return found


class Scopes:
    """Names of PTX -> names of C++, innermost scope first."""

    def __init__(self):
        self.stack, self.count = [{}], 0

    def open(self):
        self.count += 1
        self.stack.append({})

    def close(self):
        self.stack.pop()

    def declare(self, name):
        plain = re.sub(r"\W", "_", name.lstrip("%$"))
        nested = len(self.stack) > 1
        self.stack[-1][name] = f"{plain}_s{self.count}" if nested else f"r_{plain}"
        return self.stack[-1][name]

    def find(self, name):
        for scope in reversed(self.stack):
            if name in scope:
                return scope[name]
        return None


class BodyReader:
    """Fills a kernel from the events of its body."""

    def __init__(self, kernel):
        self.kernel, self.scopes = kernel, Scopes()

    def read(self, found):
        self.declare_labels(found, 0)
        for i, event in enumerate(found):
            if event[0] == "open":
                self.scopes.open()
                self.declare_labels(found, i + 1)
            elif event[0] == "close":
                self.scopes.close()
            elif event[0] == "label":
                self.kernel.body.append(Label(self.scopes.find(event[1])))
            else:
                self.statement(event[1])

    def declare_labels(self, found, start):
        """Those of the scope that begins there: jumps go forward too."""
        depth = 1
        for event in found[start:]:
            depth += {"open": 1, "close": -1}.get(event[0], 0)
            if depth == 0:
                return
            if event[0] == "label" and depth == 1:
                self.scopes.declare(event[1])

    def statement(self, text):
        if text.startswith(".reg"):
            self.declare_registers(text)
        elif text.startswith(".shared"):
            self.declare_shared(text)
        elif text.startswith(".local"):
            align, name, size = re.search(r"\.align (\d+) \.b8 (\w+)\[(\d+)\]", text).groups()
            self.kernel.local[name] = (int(size), int(align))
        elif not text.startswith("."):  # other directives advise ptxas
            self.instruction(text)

    def declare_registers(self, text):
        _, ptx_type, names = text.split(None, 2)
        for name in split_operands(names):
            many = re.fullmatch(r"(%?\w+)<(\d+)>", name)
            each = [f"{many.group(1)}{i}" for i in range(int(many.group(2)))] if many else [name]
            for register in each:
                self.kernel.registers[self.scopes.declare(register)] = ptx_type.lstrip(".")

    def declare_shared(self, text):
        found = re.search(r"\.align (\d+) \.(\w+) (\w+)(?:\[(\d+)\])?", text)
        align, ptx_type, name, count = found.groups()
        kernel = self.kernel
        start = -(-kernel.shared_bytes // int(align)) * int(align)
        kernel.shared[name] = start
        kernel.shared_bytes = start + bytes_of(ptx_type) * int(count or 1)

    def instruction(self, text):
        guard = ""
        guarded = re.match(r"@(!?)(%?\w+) (.*)$", text)
        if guarded:
            guard, text = guarded.group(1) + self.scopes.find(guarded.group(2)), guarded.group(3)
        opcode, _, rest = text.partition(" ")
        operands = [re.sub(r"[%$]?[A-Za-z_$][\w$]*(?:\.[xyz])?", self.rename, o)
                    for o in split_operands(rest)]
        self.kernel.body.append(Instruction(guard, opcode, operands))

    def rename(self, match):
        return self.scopes.find(match.group(0)) or match.group(0)


PARAMETER = re.compile(r"\.param\s+(?:\.align\s+(\d+)\s+)?\.(\w+)"
                       r"(?:\s+\.ptr(?:\s+\.\w+)*?(?:\s+\.align\s+\d+)?)?\s+(\w+)(?:\[(\d+)\])?")
ENTRY = re.compile(r"\.entry\s+(\S+?)\s*\((.*?)\)\s*((?:\.\w+[^{]*?)?)\{", re.S)
ARRAY = re.compile(r"^(?:\.visible\s+)?\.(?:global|const)\s+\.align\s+\d+\s+\.(\w+)\s+(\w+)"
                   r"(?:\[(\d+)\])?(?:\s*=\s*\{?([^;}]*)\}?)?;", re.M)


def parameters_of(text):
    offsets, end = {}, 0
    for align, ptx_type, name, count in PARAMETER.findall(text):
        size = int(count) if count else bytes_of(ptx_type)
        unit = int(align) if align else size
        end = -(-end // unit) * unit
        offsets[name] = end
        end += size
    return offsets


def arrays_of(text):
    arrays = {}
    for ptx_type, name, count, contents in ARRAY.findall(text):
        size, values = bytes_of(ptx_type), []
        for value in contents.split(",") if contents.strip() else []:
            values += (int(value, 0) % (1 << 8 * size)).to_bytes(size, "little")
        arrays[name] = values + [0] * (size * int(count or 1) - len(values))
    return arrays


def parse(text):
    text = re.sub(r"//[^\n]*|/\*.*?\*/", "", text, flags=re.S)
    if re.search(r"^\s*(?:\.visible\s+)?\.func\b", text, re.M):
        raise Untranslatable("the module has a function that is no kernel: inline it")
    kernels = []
    for entry in ENTRY.finditer(text):
        kernel = Kernel(entry.group(1), parameters_of(entry.group(2)))
        BodyReader(kernel).read(events(text, entry.end()))
        kernels.append(kernel)
    dynamic = set(re.findall(r"\.extern\s+\.shared\s+.*?(\w+)\[\]", text))
    return Module(kernels, dynamic, arrays_of(text))
