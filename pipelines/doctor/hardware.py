"""Checks of processor, graphics card, memory, disk and weights."""

from typing import Final

from ..editor.load import DEFAULT_WEIGHTS
from .finding import Finding, Level
from .machine import SHIPPED, Machine

GIB: Final = 1 << 30
LEAST_MEMORY: Final = 1 * GIB
ENOUGH_MEMORY: Final = 2 * GIB
LEAST_DISK: Final = GIB // 4
ENOUGH_DISK: Final = 2 * GIB


def processor(machine: Machine) -> list[Finding]:
    """Its speed-giving features, and how many threads work."""
    cores, threads, capability = machine.cores(), machine.threads(), machine.cpu_capability()
    name = f"{machine.processor()}, {cores} core{'s' if cores > 1 else ''}, {capability}"
    if capability.upper() in ("DEFAULT", "NO AVX"):
        findings = [
            Finding("processor", "warn", f"{name}: without AVX2, several times slower", "use a processor from 2014 on")
        ]
    elif cores < 2:
        findings = [
            Finding("processor", "warn", f"{name}: too few for live editing", "give the machine or container two cores")
        ]
    else:
        findings = [Finding("processor", "ok", f"{name}; {machine.precision(machine.zoo.cache)}")]
    limit = machine.environment("OMP_NUM_THREADS")
    if threads < min(cores, 2):
        mend = "unset OMP_NUM_THREADS" if limit else f"export OMP_NUM_THREADS={cores}"
        findings.append(Finding("threads", "warn", f"PyTorch uses {threads} of {cores} cores", mend))
    else:
        findings.append(Finding("threads", "ok", f"PyTorch uses {threads} of {cores} cores"))
    return findings


def gpu(machine: Machine) -> list[Finding]:
    """A graphics card that PyTorch uses, or one that it could use but does not."""
    found = machine.gpu()
    if found is not None:
        memory = f", {found.memory / GIB:.0f} GiB" if found.memory else ""
        return [Finding("GPU", "ok", f"{found.name} ({found.kind}{memory})")]
    if machine.has_nvidia():
        if machine.cuda_build() is None:
            mend = "pip install --force-reinstall torch, from the CUDA index that pytorch.org names"
            return [Finding("GPU", "warn", "an NVIDIA card, but PyTorch is built without CUDA", mend)]
        mend = f"see what `nvidia-smi` says; PyTorch wants a driver for CUDA {machine.cuda_build()}"
        return [Finding("GPU", "warn", "an NVIDIA card that PyTorch cannot use", mend)]
    return [Finding("GPU", "ok", "none: everything runs on the processor")]


def memory(machine: Machine) -> list[Finding]:
    """Free memory."""
    free = machine.available_memory()
    if free is None:
        return [Finding("memory", "ok", "this system does not say")]
    level: Level = "fail" if free < LEAST_MEMORY else "warn" if free < ENOUGH_MEMORY else "ok"
    mend = "" if level == "ok" else "close other programs; editing takes 1 to 2 GiB"
    return [Finding("memory", level, f"{free / GIB:.1f} GiB free", mend)]


def disk(machine: Machine) -> list[Finding]:
    """Room for weights."""
    cache = machine.zoo.cache
    elsewhere = "export DYNSTREAM_CACHE=FOLDER with a folder that you may write to and that has space"
    if not machine.writable(cache):
        return [Finding("weight cache", "fail", f"{cache} cannot be written", elsewhere)]
    free = machine.free_disk(cache)
    level: Level = "fail" if free < LEAST_DISK else "warn" if free < ENOUGH_DISK else "ok"
    mend = "" if level == "ok" else f"free space there, or {elsewhere}"
    return [Finding("weight cache", level, f"{cache}, {free / GIB:.1f} GiB free", mend)]


def weights(machine: Machine, *, verify: bool = False) -> list[Finding]:
    """The required files, and whether a cached one is damaged. verify: read all of them again."""
    from ...models.errors import WeightsError

    zoo, findings = machine.zoo, []
    gone = [name for name in SHIPPED if name not in machine.shipped()]
    if gone:
        mend = "pip install --force-reinstall dynstream"
        findings.append(Finding("own weights", "fail", f"missing from the package: {', '.join(gone)}", mend))
    ready = 0
    for name, entry in zoo.entries.items():
        status = zoo.status(name)
        pull = f"dynstream models pull {name}" if entry.recipe else f"dynstream models import {name} FILE, once more"
        if status == "ready" and verify:
            try:
                zoo.verify(name)
            except WeightsError as error:
                findings.append(Finding(f"weights {name}", "fail", str(error).partition(";")[0], pull))
                continue
        if status == "damaged":
            findings.append(Finding(f"weights {name}", "fail", "damaged", pull))
        elif name in DEFAULT_WEIGHTS and status == "absent":
            findings.append(Finding(f"weights {name}", "warn", "not here; fetched when first needed", pull))
        elif name in DEFAULT_WEIGHTS:
            findings.append(Finding(f"weights {name}", "ok", "verified" if verify else "here"))
        ready += status == "ready"
    others = f"{ready} of {len(zoo.entries)} entries are here{', all read again' if verify else ''}"
    findings.append(Finding("weights", "ok", others, "dynstream models list"))
    return findings
