"""ptx_arithmetic - instructions that compute on registers, as C++ statements. Each function takes
the operands' helper, the parts of the opcode and the operands.

SPDX-License-Identifier: Apache-2.0
"""

from ptx_operands import CPP
from ptx_text import Untranslatable


def move(ops, parts, args):
    kind = parts[-1]
    if args[0].startswith("{"):
        targets = ops.vector(args[0])
        part = f"b{int(kind[1:]) // len(targets)}"
        return " ".join(ops.write(t, part, f"{ops.read(args[1], kind)} >> {i * int(part[1:])}")
                        for i, t in enumerate(targets))
    if args[1].startswith("{"):
        sources = ops.vector(args[1])
        part = f"b{int(kind[1:]) // len(sources)}"
        return ops.write(args[0], kind, " | ".join(
            f"({CPP[kind]}){ops.read(s, part)} << {i * int(part[1:])}"
            for i, s in enumerate(sources)))
    return ops.write(args[0], kind, ops.read(args[1], kind))


def binary(operator):
    def emit(ops, parts, args):
        kind = parts[-1]
        sign = operator if kind != "pred" else {"&": "&&", "|": "||", "^": "!="}[operator]
        return ops.write(args[0], kind,
                         f"{ops.read(args[1], kind)} {sign} {ops.read(args[2], kind)}")
    return emit


def shift(ops, parts, args):
    """Amounts beyond the width shift everything out."""
    kind, bits = parts[-1], int(parts[-1][1:])
    value, by = ops.read(args[1], kind), ops.read(args[2], "u32")
    if kind[0] == "s":
        return ops.write(args[0], kind, f"{value} >> ({by} >= {bits} ? {bits - 1} : {by})")
    sign = "<<" if parts[0] == "shl" else ">>"
    return ops.write(args[0], kind, f"{by} >= {bits} ? 0 : {value} {sign} {by}")


def multiply(ops, parts, args):
    kind = parts[-1]
    a, b = ops.read(args[1], kind), ops.read(args[2], kind)
    if "wide" in parts or "hi" in parts:
        if kind in ("u64", "s64"):
            wide, out = ("unsigned __int128" if kind[0] == "u" else "__int128"), kind
        else:
            out = kind[0] + str(2 * int(kind[1:]))
            wide = CPP[out]
        expression = f"({wide}){a} * {b}"
        if "hi" in parts:
            expression, out = f"({expression}) >> {kind[1:]}", kind
    else:
        expression, out = f"{a} * {b}", kind
    if parts[0] == "mad":
        expression = f"({expression}) + {ops.read(args[3], out)}"
    return ops.write(args[0], out, expression)


def call(function, arity=1):
    def emit(ops, parts, args):
        kind = parts[-1]
        values = ", ".join(ops.read(a, kind) for a in args[1:1 + arity])
        return ops.write(args[0], kind, f"{function}({values})")
    return emit


def reciprocal(ops, parts, args):
    """In double the approximation is rough: code refines it."""
    rough = "approx" in parts and parts[-1] == "f64"
    return call("rough_reciprocal" if rough else "reciprocal")(ops, parts, args)


def count(function):
    """Results are 32 bits whatever is counted."""
    def emit(ops, parts, args):
        return ops.write(args[0], "u32", f"{function}({ops.read(args[1], parts[-1])})")
    return emit


def unary(operator):
    def emit(ops, parts, args):
        kind = parts[-1]
        sign = "!" if kind == "pred" else operator
        return ops.write(args[0], kind, f"{sign}{ops.read(args[1], kind)}")
    return emit


def divide(ops, parts, args):
    kind, sign = parts[-1], "/" if parts[0] == "div" else "%"
    return ops.write(args[0], kind, f"{ops.read(args[1], kind)} {sign} {ops.read(args[2], kind)}")


def extreme(ops, parts, args):
    kind = parts[-1]
    if len(args) != 3 or "NaN" in parts:
        raise Untranslatable(".".join(parts))
    a, b = ops.read(args[1], kind), ops.read(args[2], kind)
    function = f"std::f{parts[0]}" if kind[0] == "f" else f"std::{parts[0]}"
    return ops.write(args[0], kind, f"{function}({a}, {b})")


COMPARE = {"eq": "==", "ne": "!=", "lt": "<", "le": "<=", "gt": ">", "ge": ">=", "lo": "<",
           "ls": "<=", "hi": ">", "hs": ">="}
OPPOSITE = {"lt": ">=", "le": ">", "gt": "<=", "ge": "<"}


def comparison(name, kind, a, b):
    """Of floats: `ltu` and its like hold for NaN too, `ne` does not, `neu` does."""
    if kind[0] != "f":
        return f"{a} {COMPARE[name]} {b}"
    if name == "neu":
        return f"{a} != {b}"
    if name == "ne":
        return f"{a} < {b} || {a} > {b}"
    if name == "equ":
        return f"!({a} < {b} || {a} > {b})"
    if name in ("num", "nan"):
        return f"{'!' if name == 'num' else ''}(std::isnan({a}) || std::isnan({b}))"
    if name.endswith("u"):
        return f"!({a} {OPPOSITE[name[:-1]]} {b})"
    return f"{a} {COMPARE[name]} {b}"


def set_predicate(ops, parts, args):
    kind = parts[-1]
    result = comparison(parts[1], kind, ops.read(args[1], kind), ops.read(args[2], kind))
    combine = next((p for p in parts[2:-1] if p in ("and", "or", "xor")), None)
    targets = args[0].split("|")
    if len(targets) > 1 and combine:
        raise Untranslatable(".".join(parts) + " with two results")
    if combine:
        sign = {"and": "&&", "or": "||", "xor": "!="}[combine]
        result = f"({result}) {sign} {ops.read(args[3], 'pred')}"
    text = ops.write(targets[0], "pred", result)
    return text + (ops.write(targets[1], "pred", f"!({result})") if len(targets) > 1 else "")


def select(ops, parts, args):
    kind = parts[-1]
    return ops.write(args[0], kind, f"{ops.read(args[3], 'pred')} ? {ops.read(args[1], kind)} : "
                                    f"{ops.read(args[2], kind)}")


ROUND = {"rni": "nearbyint", "rzi": "trunc", "rmi": "floor", "rpi": "ceil"}


def convert(ops, parts, args):
    to, source = parts[-2], parts[-1]
    if to == "bf16x2":
        return ops.write(args[0], "b32", f"(uint32_t)to_bf16({ops.read(args[1], 'f32')}) << 16 | "
                                         f"to_bf16({ops.read(args[2], 'f32')})")
    if source == "bf16":
        bits = f"cast<float>((uint32_t){ops.read(args[1], 'b16')} << 16)"
        return ops.write(args[0], to, bits)
    if to == "bf16":
        return ops.write(args[0], "b16", f"to_bf16({ops.read(args[1], source)})")
    if to not in CPP or source not in CPP:
        raise Untranslatable(".".join(parts))
    value = ops.read(args[1], source)
    rounding = next((ROUND[p] for p in parts if p in ROUND), None)
    if rounding:
        value = f"std::{rounding}({value})"
    if source[0] == "f" and to[0] in "us":
        return ops.write(args[0], to, f"clamped<{CPP[to]}>({value})")
    if "sat" in parts:
        raise Untranslatable(".".join(parts))
    return ops.write(args[0], to, f"({CPP[to]}){value}")


def helper(function, types):
    """A function of translated.h whose arguments have those types, `k` the instruction's."""
    def emit(ops, parts, args):
        kind = parts[-1]
        values = ", ".join(ops.read(a, kind if t == "k" else t) for a, t in zip(args[1:], types))
        return ops.write(args[0], kind, f"{function}({values})")
    return emit


def funnel(ops, parts, args):
    amount = f"{ops.read(args[3], 'u32')}"
    amount = f"({amount} & 31)" if "wrap" in parts else f"std::min({amount}, 32u)"
    pair = f"((uint64_t){ops.read(args[2], 'b32')} << 32 | {ops.read(args[1], 'b32')})"
    if parts[1] == "l":
        return ops.write(args[0], "b32", f"(uint32_t)(({pair} << {amount}) >> 32)")
    return ops.write(args[0], "b32", f"(uint32_t)({pair} >> {amount})")


def find_leading(ops, parts, args):
    shift = str("shiftamt" in parts).lower()
    return ops.write(args[0], "u32", f"find_leading({ops.read(args[1], parts[-1])}, {shift})")


ARITHMETIC = {
    "mov": move, "add": binary("+"), "sub": binary("-"), "and": binary("&"), "or": binary("|"),
    "xor": binary("^"), "not": unary("~"), "neg": unary("-"), "shl": shift, "shr": shift,
    "mul": multiply, "mad": multiply, "div": divide, "rem": divide, "min": extreme, "max": extreme,
    "fma": call("std::fma", 3), "abs": call("std::abs"), "ex2": call("std::exp2"),
    "lg2": call("std::log2"), "sin": call("std::sin"), "cos": call("std::cos"),
    "tanh": call("std::tanh"), "sqrt": call("std::sqrt"), "rsqrt": call("reciprocal_root"),
    "rcp": reciprocal, "popc": count("bit_count"), "clz": count("leading_zeros"),
    "brev": call("reversed"), "bfind": find_leading, "setp": set_predicate, "selp": select,
    "cvt": convert, "shf": funnel,
    "copysign": helper("sign_onto", ("k", "k")),
    "bfi": helper("insert_field", ("k", "k", "u32", "u32")),
    "bfe": helper("extract_field", ("k", "u32", "u32")),
    "prmt": helper("permute_bytes", ("b32", "b32", "b32")),
    "lop3": helper("logic3", ("b32", "b32", "b32", "u32")),
}
