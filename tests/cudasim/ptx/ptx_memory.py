"""ptx_memory - instructions that touch memory, synchronise, or multiply matrices: calls of the
simulator (sim/model.h) and of translated.h.

SPDX-License-Identifier: Apache-2.0
"""

import re

from ptx_operands import CPP
from ptx_text import Untranslatable

SPACES = ("global", "shared", "shared::cta", "shared::cluster", "param", "local", "const")


def space_of(parts):
    return next((p for p in parts if p in SPACES), "generic")


def place(ops, parts, operand, size, write):
    """A pointer to `size` bytes there, checked."""
    space = space_of(parts)
    if space == "param":
        return f"const_cast<unsigned char *>((const unsigned char *){ops.address(operand, space)})"
    if space.startswith("shared"):
        return f"shared_access({ops.address(operand, space)}, {size}, {str(write).lower()})"
    return f"aligned({ops.address(operand, space)}, {size})"


def load(ops, parts, args):
    kind, targets = parts[-1], ops.vector(args[0])
    if "acquire" in parts:
        address = ops.address(args[1], "global")
        return ops.write(args[0], "b32", f"load_acquire((unsigned *){address})")
    size = f"{len(targets)} * sizeof({CPP[kind]})"
    text = f"auto *from_ = ({CPP[kind]} *){place(ops, parts, args[1], size, False)}; "
    return text + " ".join(ops.write(t, kind, f"from_[{i}]") for i, t in enumerate(targets))


def store(ops, parts, args):
    kind, sources = parts[-1], ops.vector(args[1])
    if "release" in parts:
        return (f"store_release((unsigned *){ops.address(args[0], 'global')}, "
                f"{ops.read(args[1], 'b32')});")
    size = f"{len(sources)} * sizeof({CPP[kind]})"
    text = f"auto *to_ = ({CPP[kind]} *){place(ops, parts, args[0], size, True)}; "
    return text + " ".join(f"to_[{i}] = {ops.read(s, kind)};" for i, s in enumerate(sources))


def atomic(ops, parts, args):
    kind = parts[-1]
    result = "_" if parts[0] == "red" else args[0]
    rest = args if parts[0] == "red" else args[1:]
    name = next(p for p in parts if p in ("add", "min", "max", "exch", "or", "and", "cas", "xor"))
    size = f"sizeof({CPP[kind]})"
    address = f"({ATOMIC_TYPE.get(kind, CPP[kind])} *){place(ops, parts, rest[0], size, True)}"
    if name == "cas":
        return ops.write(result, kind, f"compare_and_swap((unsigned *){address}, "
                                       f"{ops.read(rest[1], 'b32')}, {ops.read(rest[2], 'b32')})")
    if "acq_rel" in parts and name == "add":
        return ops.write(result, kind,
                         f"add_release((unsigned *){address}, {ops.read(rest[1], 'b32')})")
    if name == "xor":
        raise Untranslatable(".".join(parts))
    operation = {"exch": "EXCHANGE"}.get(name, name.upper())
    value = f"({ATOMIC_TYPE.get(kind, CPP[kind])}){ops.read(rest[1], kind)}"
    return ops.write(result, kind, f"atomic({address}, {value}, {operation})")


ATOMIC_TYPE = {"b32": "unsigned", "u32": "unsigned", "s32": "int", "u64": "unsigned long long",
               "b64": "unsigned long long"}


def address_conversion(ops, parts, args):
    """Generic addresses are the host's; those of global, local and param are the same."""
    value = ops.read(args[1], "u64")
    if "shared" in parts:
        value = (f"shared_address((const void *){value})" if parts[1] == "to"
                 else f"(uintptr_t)shared_pointer({ops.read(args[1], 'u32')})")
    return ops.write(args[0], "u64", value)


# ---- barriers, warps --------------------------------------------------------------------------


def barrier(ops, parts, args):
    if parts[1] == "cluster":
        return f"cluster_{parts[2]}();"
    if parts[1] == "warp":
        return f"syncwarp({ops.read(args[0], 'u32')});"
    name = "barrier_arrive" if "arrive" in parts else "barrier_sync"
    if parts[1] not in ("sync", "arrive", "cta"):
        raise Untranslatable(".".join(parts))
    threads = ops.read(args[1], "u32") if len(args) > 1 else "0"
    return f"{name}({ops.read(args[0], 'u32')}, {threads});"


def shuffle(ops, parts, args):
    targets = args[0].split("|")
    text = "bool in_; " + ops.write(
        targets[0], "b32", f"exchange('{parts[2][0]}', {ops.read(args[1], 'b32')}, "
                           f"{ops.read(args[2], 'u32')}, {ops.read(args[3], 'u32')}, "
                           f"{ops.read(args[4], 'u32')}, &in_)")
    return text + (ops.write(targets[1], "pred", "in_") if len(targets) > 1 else " (void)in_;")


def vote(ops, parts, args):
    mask, value = ops.read(args[2], "u32"), ops.read(args[1], "pred")
    if "ballot" in parts:
        return ops.write(args[0], "b32", f"ballot({mask}, {value})")
    test = {"any": f"ballot({mask}, {value}) != 0", "all": f"ballot({mask}, !({value})) == 0"}
    return ops.write(args[0], "pred", test[parts[2]])


def fence(ops, parts, args):
    if "proxy" in parts:
        return "fence_proxy_async();"
    return ";" if parts[1].startswith("mbarrier_init") else "fence();"


def mbarrier(ops, parts, args):
    if parts[1] == "init":
        return f"mbarrier_init({ops.address(args[0], 'shared')}, {ops.read(args[1], 'u32')});"
    if parts[1] in ("try_wait", "test_wait"):
        if parts[1] == "test_wait":
            raise Untranslatable("mbarrier.test_wait: a loop of try_wait")
        parity = (ops.read(args[2], "u32") if "parity" in parts
                  else f"(unsigned)({ops.read(args[2], 'u64')} & 1)")
        return (f"mbarrier_wait({ops.address(args[1], 'shared')}, {parity}); "
                + ops.write(args[0], "pred", "true"))
    if parts[1] == "expect_tx":
        return f"mbarrier_expect({ops.address(args[0], 'shared')}, {ops.read(args[1], 'u32')});"
    if parts[1] == "arrive":
        address = ops.address(args[1], "shared")
        more = ops.read(args[2], "u32") if len(args) > 2 else "1"
        if "expect_tx" in parts:
            return (f"mbarrier_expect({address}, {more}); "
                    + ops.write(args[0], "b64", f"mbarrier_arrive({address}, 1)"))
        return ops.write(args[0], "b64", f"mbarrier_arrive({address}, {more})")
    raise Untranslatable(".".join(parts))


# ---- copies -----------------------------------------------------------------------------------


def tensor_operand(ops, operand):
    """`[map, {c0, c1}]` -> the map, and an array of coordinates."""
    map_name, coordinates = re.fullmatch(r"\[\s*([%\w$]+)\s*,\s*(\{.*\})\s*\]", operand).groups()
    values = ", ".join(ops.read(c, "s32") for c in ops.vector(coordinates))
    return f"(const void *){ops.read(map_name, 'u64')}", f"const int at_[] = {{{values}}}; "


def bulk(ops, parts, args):
    name = ".".join(parts[3:])
    if name.startswith("commit_group"):
        return "bulk_commit();"
    if name.startswith("wait_group"):
        return f"bulk_wait({args[0]});"
    load_first = name.find("shared::cluster.global") >= 0
    if parts[3] == "tensor" and load_first:
        tensor_map, at = tensor_operand(ops, args[1])
        blocks = ops.read(args[3], "u16") if "multicast::cluster" in parts else "0"
        return (f"{at}tma_load({ops.address(args[0], 'shared')}, {tensor_map}, "
                f"{ops.address(args[2], 'shared')}, at_, {blocks});")
    if parts[3] == "tensor" and "bulk_group" in parts and "add" not in parts:
        tensor_map, at = tensor_operand(ops, args[0])
        return f"{at}tma_store({tensor_map}, {ops.address(args[1], 'shared')}, at_);"
    raise Untranslatable(".".join(parts))


def copy(ops, parts, args):
    if parts[1] != "async":
        raise Untranslatable(".".join(parts))
    if parts[2] == "bulk":
        return bulk(ops, parts, args)
    if parts[2] == "commit_group":
        return "cp_async_commit();"
    if parts[2] == "wait_group":
        return f"cp_async_wait({args[0]});"
    if parts[2] == "wait_all":
        return "cp_async_wait_all();"
    if parts[2] == "mbarrier":
        raise Untranslatable(".".join(parts))
    read = ops.read(args[3], "u32") if len(args) > 3 else args[2]
    return (f"cp_async({ops.address(args[0], 'shared')}, (const void *)"
            f"{ops.address(args[1], 'global')}, {args[2]}, {read});")


# ---- matrices ---------------------------------------------------------------------------------


def array(ops, operand, kind):
    return "{" + ", ".join(ops.read(r, kind) for r in ops.vector(operand)) + "}"


def results(ops, operand, kind, name):
    return " ".join(ops.write(r, kind, f"{name}[{i}]") for i, r in enumerate(ops.vector(operand)))


def load_matrix(ops, parts, args):
    count, transposed = len(ops.vector(args[0])), str("trans" in parts).lower()
    return (f"uint32_t out_[4]; ldmatrix(out_, {ops.address(args[1], 'shared')}, {count}, "
            f"{transposed}); " + results(ops, args[0], "b32", "out_"))


def store_matrix(ops, parts, args):
    count, transposed = len(ops.vector(args[1])), str("trans" in parts).lower()
    return (f"const uint32_t in_[] = {array(ops, args[1], 'b32')}; "
            f"stmatrix({ops.address(args[0], 'shared')}, in_, {count}, {transposed});")


NUMBERS = {"bf16": "BF16", "e4m3": "E4M3"}


def number_of(parts):
    kinds = [p for p in parts if p in NUMBERS]
    if len(kinds) != 2 or kinds[0] != kinds[1] or "f32" not in parts:
        raise Untranslatable(".".join(parts))
    return NUMBERS[kinds[0]]


def multiply(ops, parts, args):
    number = number_of(parts)
    if not {"m16n8k16", "m16n8k32"} & set(parts):
        raise Untranslatable(".".join(parts))
    return (f"const uint32_t a_[] = {array(ops, args[1], 'b32')}, "
            f"b_[] = {array(ops, args[2], 'b32')}; const float c_[] = "
            f"{array(ops, args[3], 'f32')}; float d_[4]; mma(d_, a_, b_, c_, {number}); "
            + results(ops, args[0], "f32", "d_"))


def warpgroup(ops, parts, args):
    if parts[1] != "mma_async":
        operand = args[0] if args else "0"
        return {"fence": "wgmma_fence();", "commit_group": "wgmma_commit();",
                "wait_group": f"wgmma_wait({operand});"}[parts[1]]
    columns = 2 * len(ops.vector(args[0]))
    if f"n{columns}k" not in ".".join(parts):
        raise Untranslatable(f"{'.'.join(parts)} into {columns // 2} registers")
    if args[4] != "1" or args[5] != "1":
        raise Untranslatable("wgmma with negated operands")
    if args[1].startswith("{"):
        raise Untranslatable("wgmma with a in registers")
    a_mn, b_mn = (str(flag == "1").lower() for flag in (args[6:8] or "00"))
    return (f"float d_[] = {array(ops, args[0], 'f32')}; wgmma(d_, {{{number_of(parts)}, "
            f"{columns}, {ops.read(args[3], 'pred')}, {a_mn}, {b_mn}, nullptr, "
            f"{ops.read(args[1], 'u64')}, {ops.read(args[2], 'u64')}, true}}); "
            + results(ops, args[0], "f32", "d_"))


def dependency(ops, parts, args):
    return "grid_dependency_wait();" if parts[1] == "wait" else ";"


def nothing(ops, parts, args):
    return ";"


MEMORY = {
    "ld": load, "ldu": load, "st": store, "atom": atomic, "red": atomic,
    "cvta": address_conversion, "bar": barrier, "barrier": barrier, "shfl": shuffle, "vote": vote,
    "fence": fence, "membar": lambda ops, parts, args: "fence();", "mbarrier": mbarrier,
    "cp": copy, "ldmatrix": load_matrix, "stmatrix": store_matrix, "mma": multiply,
    "wgmma": warpgroup, "setmaxnreg": nothing, "griddepcontrol": dependency, "prefetch": nothing,
    "nanosleep": lambda ops, parts, args: "yield();",
    "mapa": lambda ops, parts, args: ops.write(
        args[0], "u32", f"map_shared({ops.read(args[1], 'u32')}, {ops.read(args[2], 'u32')})"),
    "activemask": lambda ops, parts, args: ops.write(args[0], "b32", "active_mask()"),
}
