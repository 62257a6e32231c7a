"""Tables of verdicts: shares with intervals, and paired differences; markdown and JSON.

SPDX-License-Identifier: Apache-2.0
"""

from collections import defaultdict
from collections.abc import Callable, Iterable

from ..scenes.regions import BUCKETS
from .intervals import bootstrap, wilson
from .items import ATTRIBUTES, PROMPTS
from .score import Scored

MEASURES = ("present", *ATTRIBUTES, "everything")
NAMES = {
    "present": "something is there",
    "kind": "object or shape",
    "everything": "all that was asked",
    "mask-simple": "Mask-Simple",
    "mask-rich": "Mask-Rich",
    "full": "Full",
}
SEAM = ("step", "inside", "outside", "true step", "over truth")


def by_item(scored: Iterable[Scored], value: Callable[[Scored], float | None]) -> dict[str, float]:
    """The mean of each item's samples, of those that have a value."""
    values = defaultdict(list)
    for one in scored:
        found = value(one)
        if found is not None:
            values[one.item].append(float(found))
    return {item: sum(found) / len(found) for item, found in values.items()}


def asked(measure: str) -> Callable[[Scored], float | None]:
    return lambda one: one.right.get(measure)


def share(scored: list[Scored], measure: str) -> dict | None:
    """A share with its interval; None where nothing was asked."""
    means = by_item(scored, asked(measure))
    if not means:
        return None
    total = sum(means.values())
    low, high = wilson(total, len(means))
    pictures = sum(measure in one.right for one in scored)
    return {"share": total / len(means), "low": low, "high": high, "items": len(means),
            "pictures": pictures}  # fmt: skip


def difference(a: list[Scored], b: list[Scored], value) -> dict | None:
    """b - a over the items, prompts and seeds that both have, and where neither is ahead."""
    key = lambda one: (one.item, one.prompt, one.seed)  # noqa: E731
    common = {key(one) for one in a} & {key(one) for one in b}
    first, second = (by_item((o for o in s if key(o) in common), value) for s in (a, b))
    changes = [second[item] - first[item] for item in first if item in second]
    if not changes:
        return None
    low, high = bootstrap(changes)
    return {"difference": sum(changes) / len(changes), "low": low, "high": high,
            "items": len(changes), "better": sum(c > 0 for c in changes),
            "worse": sum(c < 0 for c in changes)}  # fmt: skip


# ---- an arm of a study --------------------------------------------------------------------------


def of_prompt(scored: list[Scored], prompt: str) -> list[Scored]:
    return [one for one in scored if one.prompt == prompt]


def seam_of(scored: list[Scored]) -> dict[str, dict]:
    result = {}
    for name in SEAM:
        means = list(by_item(scored, lambda one: one.seam.get(name)).values())
        if means:
            low, high = bootstrap(means)
            result[name] = {"mean": sum(means) / len(means), "low": low, "high": high}
    return result


def summary(scored: list[Scored]) -> dict:
    """Everything about one arm: by prompt, and within it by attribute, category and bucket."""
    result: dict = {"prompts": {}, "seam": seam_of(scored)}
    for prompt in PROMPTS:
        part = of_prompt(scored, prompt)
        if not part:
            continue
        groups = {"category": ("shape", "object", "text"), "bucket": tuple(BUCKETS)}
        result["prompts"][prompt] = {
            "attributes": {m: share(part, m) for m in MEASURES if share(part, m)},
            **{
                field: {
                    name: {m: share([o for o in part if getattr(o, field) == name], m)
                           for m in ("present", "kind", "colour", "everything")}
                    for name in names if any(getattr(o, field) == name for o in part)
                }
                for field, names in groups.items()
            },
        }  # fmt: skip
    return result


def paired(base: list[Scored], other: list[Scored]) -> dict:
    """An arm against the first one."""
    result: dict = {"prompts": {}}
    for prompt in PROMPTS:
        a, b = of_prompt(base, prompt), of_prompt(other, prompt)
        found = {m: difference(a, b, asked(m)) for m in MEASURES}
        if any(found.values()):
            result["prompts"][prompt] = {m: d for m, d in found.items() if d}
    result["seam"] = difference(base, other, lambda one: one.seam.get("over truth"))
    return result


# ---- markdown -----------------------------------------------------------------------------------


def percent(cell: dict | None) -> str:
    if not cell:
        return ""
    return f"{100 * cell['share']:.0f} ({100 * cell['low']:.0f}-{100 * cell['high']:.0f})"


def grid(corner: str, columns: list[str], rows: dict[str, list[str]]) -> str:
    lines = [f"| {' | '.join([corner, *columns])} |", "|---" * (len(columns) + 1) + "|"]
    lines += [f"| {' | '.join([name, *cells])} |" for name, cells in rows.items()]
    return "\n".join(lines) + "\n"


def attribute_table(arms: dict[str, dict], prompt: str) -> str:
    """Arms against attributes for one kind of prompt."""
    parts = {arm: found["prompts"].get(prompt, {}).get("attributes", {})
             for arm, found in arms.items()}  # fmt: skip
    columns = [m for m in MEASURES if any(m in part for part in parts.values())]
    counts = {m: max(p[m]["items"] for p in parts.values() if m in p) for m in columns}
    heads = [f"{NAMES.get(m, m)} [{counts[m]}]" for m in columns]
    rows = {arm: [percent(part.get(m)) for m in columns] for arm, part in parts.items()}
    return grid(NAMES[prompt], heads, rows)


def group_table(arms: dict[str, dict], prompt: str, field: str) -> str:
    """Categories or buckets against arms: all that was asked."""
    parts = {arm: found["prompts"].get(prompt, {}).get(field, {}) for arm, found in arms.items()}
    names = list(dict.fromkeys(name for part in parts.values() for name in part))
    rows = {}
    for name in names:
        for measure in ("kind", "colour", "everything"):
            cells = [percent(part.get(name, {}).get(measure)) for part in parts.values()]
            if any(cells):
                rows[f"{name}: {NAMES.get(measure, measure)}"] = cells
    return grid(f"{NAMES[prompt]}, by {field}", list(arms), rows)


def paired_table(base: str, found: dict[str, dict], prompt: str) -> str:
    parts = {arm: pairs["prompts"].get(prompt, {}) for arm, pairs in found.items()}
    columns = [m for m in MEASURES if any(m in part for part in parts.values())]

    def cell(d: dict | None) -> str:
        if not d:
            return ""
        return f"{100 * d['difference']:+.0f} ({100 * d['low']:+.0f} to {100 * d['high']:+.0f})"

    rows = {f"{arm} - {base}": [cell(part.get(m)) for m in columns] for arm, part in parts.items()}
    return grid(NAMES[prompt], [NAMES.get(m, m) for m in columns], rows)


def seam_table(arms: dict[str, dict]) -> str:
    heads = ["across the edge", "inside", "outside", "true render, across", "seam over true render"]
    rows = {}
    for arm, found in arms.items():
        cells = [f"{found['seam'][n]['mean']:.1f}" if n in found["seam"] else "" for n in SEAM]
        if cells[-1]:
            over = found["seam"]["over truth"]
            cells[-1] += f" ({over['low']:.1f} to {over['high']:.1f})"
        rows[arm] = cells
    return grid("levels of 255 a pixel", heads, rows)
