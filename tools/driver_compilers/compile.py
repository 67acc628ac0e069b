#!/usr/bin/env python3
"""Compiles the kernels' variants with the compilers of GPU drivers, without their GPUs, and tables what comes out:
registers, spills and instructions. See README.md beside this file."""

import argparse
import collections
import fnmatch
import json
import os
import pathlib
import re
import shutil
import struct
import subprocess
import sys
import tempfile
import time

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent.parent

SUITE = "trixie"  # the Debian release whose Mesa is taken: old enough to stay, young enough for gfx11 and NAK
PACKAGES = ["mesa-vulkan-drivers", "mesa-drm-shim"]  # and all that they depend on
HEADERS = "libvulkan-dev"  # by itself: it depends on Python
KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg"
NVIDIA_SHIM = "libnouveau_noop_drm_shim.so"

Compiler = collections.namedtuple("Compiler", "name driver variables preload")
COMPILERS = [
    Compiler("RADV navi31", "radeon", {"RADV_FORCE_FAMILY": "navi31"}, None),  # AMD RDNA3, gfx11
    Compiler("RADV navi21", "radeon", {"RADV_FORCE_FAMILY": "navi21"}, None),  # AMD RDNA2, gfx10.3
    # 174 is an Ampere chip of consumer cards. NVK wants the second variable for chips that it is not tested on.
    Compiler("NAK sm_86", "nouveau", {"NOUVEAU_CHIPSET": "174", "NVK_I_WANT_A_BROKEN_VULKAN_DRIVER": "1"}, NVIDIA_SHIM),
]

# What wgpu tells naga on a device of Vulkan 1.3 that has robustBufferAccess2, as all of these have.
NAGA_OPTIONS = ["--spirv-version", "1.6", "--index-bounds-check-policy", "Restrict",
                "--buffer-bounds-check-policy", "Unchecked"]


def run(command, **options):
    """Runs a command; its output is shown where it fails."""
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, **options)
    if done.returncode:
        sys.exit(f"{' '.join(map(str, command))}\n{done.stdout}")
    return done.stdout


# Mesa

def mirror_of_this_machine():
    """The Debian mirror that this machine's apt uses."""
    files = [pathlib.Path("/etc/apt/sources.list"), *sorted(pathlib.Path("/etc/apt/sources.list.d").glob("*.*"))]
    for path in (path for path in files if path.suffix in (".list", ".sources") and path.is_file()):
        for line in path.read_text().splitlines():
            found = re.match(r"(?:URIs:|deb(?: +\[.*\])?) +(\S+/debian)/?(?: |$)", line)
            if found:
                return found[1]
    sys.exit("apt on this machine has no Debian mirror; name one with --mirror")


def fetch_mesa(cache, mirror):
    """Mesa's drivers and the C library that they want, unpacked into the cache: nothing is installed."""
    root = cache / "root"
    if root.is_dir():
        return root
    apt = cache / "apt"
    for folder in ["lists/partial", "archives/partial"]:
        (apt / folder).mkdir(parents=True, exist_ok=True)
    (apt / "status").write_text("")  # no package counts as installed, so every dependency is fetched
    (apt / "sources.list").write_text(f"deb [signed-by={KEYRING}] {mirror or mirror_of_this_machine()} {SUITE} main\n")
    options = {"Dir::Etc::sourcelist": apt / "sources.list", "Dir::Etc::sourceparts": "/dev/null", "Dir::State": apt,
               "Dir::State::status": apt / "status", "Dir::Cache": apt, "APT::Install-Recommends": "0",
               "Debug::NoLocking": "1", "Acquire::Languages": "none",
               "Acquire::IndexTargets::deb::DEP-11::DefaultEnabled": "false"}
    apt_get = ["apt-get", "-y", *(f"-o{name}={value}" for name, value in options.items())]
    print("fetching Mesa", file=sys.stderr)
    run([*apt_get, "update"])
    run([*apt_get, "--download-only", "install", *PACKAGES])
    run([*apt_get, "download", HEADERS], cwd=apt / "archives")
    unpacked = cache / "root.partial"
    for package in sorted((apt / "archives").glob("*.deb")):
        run(["dpkg", "-x", package, unpacked])
    unpacked.rename(root)
    shutil.rmtree(apt)
    return root


def build_pipelines(root, libraries, cache):
    program = cache / "pipelines"
    # The loader's library wants a newer C library than this machine may have; it has that when it runs.
    run(["gcc", "-std=c99", "-O1", "-Wall", "-Wextra", "-I", root / "usr/include", HERE / "pipelines.c", "-o", program,
         libraries / "libvulkan.so.1", "-Wl,--allow-shlib-undefined"])
    return program


# From WGSL to SPIR-V

def check_naga():
    wanted = re.search(r'name = "naga"\nversion = "(\d+)\.', (ROOT / "Cargo.lock").read_text())[1]
    found = run(["naga", "--version"]).split()[-1] if shutil.which("naga") else "none"
    if found.split(".")[0] != wanted:
        sys.exit(f"this needs naga {wanted}, as Cargo.lock has; found: {found}. cargo install naga-cli --version {wanted}")
    return found


def without_zeroing(spirv):
    """SPIR-V without the zeros that naga's command stores into workgroup memory at the start, and without the barrier
    after them: the engine tells wgpu to leave them out, and compilers take minutes over the store of a large array."""
    constant_null, variable, store, control_barrier, workgroup = 46, 59, 62, 224, 4
    words = struct.unpack(f"<{len(spirv) // 4}I", spirv)
    kept, at, zeros, shared, stores, barriers = list(words[:5]), 5, set(), set(), 0, 0
    while at < len(words):
        opcode, length = words[at] & 0xFFFF, words[at] >> 16
        operands = words[at + 1:at + length]
        if opcode == constant_null:
            zeros.add(operands[1])
        elif opcode == variable and operands[2] == workgroup:
            shared.add(operands[1])
        zeroes = opcode == store and operands[0] in shared and operands[1] in zeros and not barriers
        ends = opcode == control_barrier and stores and not barriers
        stores, barriers = stores + zeroes, barriers + bool(ends)
        if not zeroes and not ends:
            kept += words[at:at + length]
        at += length
    return struct.pack(f"<{len(kept)}I", *kept)


def translate(path, folder):
    """The SPIR-V file of a dumped WGSL file, or naga's complaint."""
    wgsl, spirv = folder / "kernel.wgsl", folder / (path.stem + ".spv")
    # The lines that only browsers want; blanks keep the numbers of lines in messages.
    wgsl.write_text(re.sub(r"^(enable|diagnostic).*;$", "", path.read_text(), flags=re.MULTILINE))
    done = subprocess.run(["naga", *NAGA_OPTIONS, wgsl, spirv], capture_output=True, text=True)
    if done.returncode:
        return None, "naga: " + done.stderr.strip()
    spirv.write_bytes(without_zeroing(spirv.read_bytes()))
    return spirv, None


def runs_on_hardware(label):
    """Not what is tuned for drivers that compute on the CPU: small workgroups, and attention with much for each lane."""
    values = {name: int(value) for name, value in re.findall(r"(\w+)=(\d+)", label)}
    columns = values["HEAD_DIM"] // (4 * values["LANES"]) if "LANES" in values else 1
    much = columns > 1 or values.get("ROWS") == 16 or ("LANES" in values and values.get("HEADS", 1) > 4)
    return values.get("WORKGROUP_SIZE") != 16 and not much


# The compilers' answers

def compile_all(compiler, program, libraries, files, folder):
    """What the driver says of each file: objects as pipelines.c prints them."""
    icd, listed = folder / "icd.json", folder / "files.txt"
    library = {"library_path": str(libraries / f"libvulkan_{compiler.driver}.so"), "api_version": "1.3.0"}
    icd.write_text(json.dumps({"file_format_version": "1.0.0", "ICD": library}))
    listed.write_text("".join(f"{path}\n" for path in files))
    preload = ["--preload", libraries / compiler.preload] if compiler.preload else []
    command = [libraries / "ld-linux-x86-64.so.2", *preload, "--library-path", libraries, program, listed]
    # Without the cache, or a second run would take no time; without layers, which are this machine's own libraries.
    variables = {"VK_DRIVER_FILES": str(icd), "MESA_SHADER_CACHE_DISABLE": "true", "VK_LOADER_LAYERS_DISABLE": "~all~"}
    environment = {**os.environ, **variables, **compiler.variables}
    process = subprocess.Popen(command, env=environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    for number, line in enumerate(process.stdout, 1):
        if number % 50 == 0 or number == len(files):
            print(f"{compiler.name}: {number} of {len(files)}", file=sys.stderr)
        yield json.loads(line)
    process.wait()


def entry_of(compiler, answer):
    entry = {"variant": pathlib.Path(answer["file"]).stem.replace("-", " "), "compiler": compiler.name}
    if "error" in answer:
        return {**entry, "error": answer["error"]}
    s = answer["executables"][0]
    lanes = s["subgroup_size"]
    # RADV counts scratch memory a subgroup, NAK a thread ("SLM"): a thread here. NAK does not tell what of it is spills.
    scratch = s["Scratch size"] // lanes if "Scratch size" in s else s["SLM Size"]
    numbers = {"registers": s.get("VGPRs", s.get("Number of GPRs")),
               "registers_before_scheduling": s.get("Pre-Sched VGPRs"), "spilled_registers": s.get("Spilled VGPRs"),
               "spilled_scalars": s.get("Spilled SGPRs"), "scratch_bytes": scratch,
               "instructions": s.get("Instructions", s.get("Instruction count")),
               "code_bytes": s.get("Code size", s.get("Code Size")), "workgroup_bytes": s.get("LDS size"),
               "subgroups_per_simd": s.get("Subgroups per SIMD"), "latency": s.get("Latency"),
               "inverse_throughput": s.get("Inverse Throughput"), "subgroup_size": lanes,
               "compile_ms": answer["compile_ms"]}
    return {**entry, **{name: value for name, value in numbers.items() if value is not None}}


def cell(entry):
    """`252 (146), 0, 3286`, or with spills `256 (239), 147 = 588 B, 4255`."""
    if "error" in entry:
        return entry["error"].splitlines()[0]
    demand = f" ({entry['registers_before_scheduling']})" if "registers_before_scheduling" in entry else ""
    scratch = f"{entry['scratch_bytes']} B" if entry["scratch_bytes"] else ""
    spills = " = ".join(filter(None, [str(entry.get("spilled_registers", "")), scratch])) or "0"
    return f"{entry['registers']}{demand}, {spills}, {entry['instructions']}"


def markdown(report):
    """A row for each variant. Those that differ in the size of the workgroup alone share one where all else is the same."""
    cells = collections.defaultdict(dict)
    for entry in report["results"]:
        cells[entry["variant"]][entry["compiler"]] = cell(entry)
    rows = collections.defaultdict(list)
    for variant, of in cells.items():
        size = re.search(r"WORKGROUP_SIZE=(\d+)", variant)
        rows[variant.replace(size[0], "WORKGROUP_SIZE={}"), tuple(of.get(c.name, "") for c in COMPILERS)].append(size[1])
    lines = ["| variant | " + " | ".join(c.name for c in COMPILERS) + " |", "|---" * (len(COMPILERS) + 1) + "|"]
    lines += [f"| {label.format('/'.join(sizes))} | " + " | ".join(of) + " |" for (label, of), sizes in rows.items()]
    drivers = ", ".join(f"{c['name']}: {c['driver']}" for c in report["compilers"])
    head = ["# Kernels in the compilers of GPU drivers", "", f"{drivers}; naga {report['naga']}. In a cell: registers a thread "
            "(before scheduling), spilled registers and bytes of scratch memory a thread, instructions.", ""]
    return "\n".join(head + lines) + "\n"


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--dump", type=pathlib.Path, help="from `cb-lab devices --dump-shaders`; else cb-lab is asked")
    parser.add_argument("--cb-lab", type=pathlib.Path, default=ROOT / "target/release/cb-lab")
    parser.add_argument("--kernel", nargs="+", default=["*"], help="kernels, or patterns of labels: '*HEAD_DIM=128*'")
    parser.add_argument("--all", action="store_true", help="also variants that only drivers without hardware run")
    parser.add_argument("--json", type=pathlib.Path, help="write all numbers to this file")
    parser.add_argument("--markdown", type=pathlib.Path, help="write the table to this file; else it is printed")
    parser.add_argument("--cache", type=pathlib.Path, default=ROOT / "target/driver_compilers", help="where Mesa lies")
    parser.add_argument("--mirror", help="a Debian mirror; else that of this machine's apt")
    options = parser.parse_args()

    start, naga, cache = time.monotonic(), check_naga(), options.cache.resolve()
    root = fetch_mesa(cache, options.mirror)
    libraries = root / "usr/lib/x86_64-linux-gnu"
    program = build_pipelines(root, libraries, cache)
    with tempfile.TemporaryDirectory() as scratch:
        folder = pathlib.Path(scratch)
        if not options.dump:
            run([options.cb_lab, "devices", "--dump-shaders", folder / "dump"])
        dumped = sorted((options.dump or folder / "dump").glob("*.wgsl"))
        in_use = [path for path in dumped if options.all or runs_on_hardware(path.stem.replace("-", " "))]
        wanted = [path for path in in_use for pattern in options.kernel
                  if fnmatch.fnmatchcase(path.stem.replace("-", " "), pattern) or path.stem.split("-")[0] == pattern]
        translated = {path: translate(path, folder) for path in dict.fromkeys(wanted)}
        files = [spirv for spirv, _ in translated.values() if spirv]
        refused = [{"file": str(path), "error": error} for path, (_, error) in translated.items() if error]
        entries, compilers = [], []
        for compiler in COMPILERS:
            answers = refused + list(compile_all(compiler, program, libraries, files, folder))
            entries += [entry_of(compiler, answer) for answer in answers]
            drivers = [(answer["device"].strip(), answer["driver"]) for answer in answers if "driver" in answer]
            device, driver = drivers[0] if drivers else ("none", "no answer")
            compilers.append({"name": compiler.name, "device": device, "driver": driver})

    report = {"naga": naga, "compilers": compilers, "results": entries}
    if options.json:
        options.json.write_text(json.dumps(report, indent=1) + "\n")
    options.markdown.write_text(markdown(report)) if options.markdown else print(markdown(report))
    failed = sum("error" in entry for entry in entries)
    print(f"{len(files)} variants, {failed} failures, {time.monotonic() - start:.0f} s", file=sys.stderr)
    sys.exit(1 if failed or not files else 0)


if __name__ == "__main__":
    main()
