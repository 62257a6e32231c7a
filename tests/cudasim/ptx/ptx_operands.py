"""ptx_operands - operands of PTX instructions as C++ expressions.

Every register is a C++ variable of its PTX type (.b32 and .u32 are both uint32_t); an operand is
read as, and written from, the type that the instruction names.

SPDX-License-Identifier: Apache-2.0
"""

import re

from ptx_text import Untranslatable, split_operands

CPP = {"b8": "uint8_t", "u8": "uint8_t", "s8": "int8_t", "b16": "uint16_t", "u16": "uint16_t",
       "s16": "int16_t", "b32": "uint32_t", "u32": "uint32_t", "s32": "int32_t", "f32": "float",
       "b64": "uint64_t", "u64": "uint64_t", "s64": "int64_t", "f64": "double", "pred": "bool"}

SPECIAL = {f"%{name}.{axis}": f"{variable}.{axis}"
           for name, variable in (("tid", "threadIdx"), ("ctaid", "blockIdx"),
                                  ("ntid", "blockDim"), ("nctaid", "gridDim"))
           for axis in "xyz"}
SPECIAL |= {"%laneid": "here->lane", "%cluster_ctarank": "here->cluster_rank",
            "%cluster_nctarank": "here->cluster_size", "WARP_SZ": "32"}


class Operands:
    """Of one kernel of one module."""

    def __init__(self, module, kernel):
        self.module, self.kernel = module, kernel

    def read(self, operand, ptx_type):
        wanted = CPP[ptx_type]
        if operand.startswith("!"):
            return "!" + self.read(operand[1:], ptx_type)
        if operand in self.kernel.registers:
            return self.convert(operand, self.kernel.registers[operand], ptx_type)
        if operand in SPECIAL:
            return f"({wanted})({SPECIAL[operand]})"
        if re.fullmatch(r"0[fF][0-9a-fA-F]{8}", operand):
            bits = f"0x{operand[2:]}u"
            return f"cast<float>({bits})" if ptx_type == "f32" else bits
        if re.fullmatch(r"0[dD][0-9a-fA-F]{16}", operand):
            return f"cast<double>(uint64_t{{0x{operand[2:]}u}})"
        if re.fullmatch(r"-?(0x[0-9a-fA-F]+|\d+)U?", operand):
            return f"({wanted}){operand.rstrip('U')}{'ll' if '64' in ptx_type else ''}"
        return f"({wanted})({self.symbol(operand)})"

    def symbol(self, name):
        """The address that a name stands for: in its own space, 32 bits in shared memory."""
        kernel = self.kernel
        if name in kernel.parameters:
            return f"(uintptr_t)(parameters + {kernel.parameters[name]})"
        if name in self.module.dynamic_shared:
            return "0"
        if name in kernel.shared:
            return f"static_shared + {kernel.shared[name]}u"
        if name in kernel.local or name in self.module.arrays:
            return f"(uintptr_t){name}"
        raise Untranslatable(f"operand {name}")

    @staticmethod
    def convert(expression, have, want):
        if have == want:
            return expression
        if (have[0] == "f") != (want[0] == "f"):
            return f"cast<{CPP[want]}>({expression})"
        return f"({CPP[want]}){expression}"

    def write(self, operand, ptx_type, expression):
        """A statement; `_` takes a result that nobody wants."""
        if operand == "_":
            return f"(void)({expression});"
        have = self.kernel.registers[operand]
        if have == ptx_type or (have[0] != "f" and ptx_type[0] != "f"):
            return f"{operand} = ({CPP[have]})({expression});"
        return f"{operand} = cast<{CPP[have]}>(({CPP[ptx_type]})({expression}));"

    def address(self, operand, space):
        """Of `[name + offset]`: a 32-bit expression in shared memory, else one of 64 bits."""
        match = re.fullmatch(r"\[\s*([%\w$]+)\s*(?:\+\s*(-?\d+))?\s*\]", operand)
        if not match:
            raise Untranslatable(f"address {operand}")
        base, offset = match.group(1), match.group(2) or "0"
        wide = "u32" if space.startswith("shared") else "u64"
        return f"({self.read(base, wide)} + {offset})"

    @staticmethod
    def vector(operand):
        return split_operands(operand[1:-1]) if operand.startswith("{") else [operand]
