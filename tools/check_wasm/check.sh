#!/usr/bin/env bash
#
# Compiles the library, without its program and its threads, for wasm32-unknown-unknown: `tools/check_wasm/check.sh`.
# README.md beside this file says what it needs.

set -euo pipefail
cd "$(dirname "$0")/../.."

target=wasm32-unknown-unknown
out=${CARGO_TARGET_DIR:-target}/check_wasm
check=(cargo check --locked --release --lib --no-default-features --target "$target")

if [[ -d $(rustc --print sysroot)/lib/rustlib/$target ]]; then
    CARGO_TARGET_DIR=$out "${check[@]}"
    exit
fi
if ! command -v apt-get >/dev/null; then
    echo "no standard library for $target here: run \`rustup target add $target\`" >&2
    exit 1
fi

# Debian's Rust for the web, unpacked beside the build and not installed; its sources of std are compiled, too.
system=$PWD/$out/debian
if [[ ! -e $system/complete ]]; then
    rm -rf "$system"
    mkdir -p "$system/packages"
    apt-get update -qq || echo "the list of packages is as old as it was" >&2
    version=$(apt-cache show rustc-web 2>/dev/null | sed -n 's/^Version: //p' | sort -V | tail -1) || true
    if [[ -z $version ]]; then
        echo "no standard library for $target here, nor a package rustc-web: run \`rustup target add $target\`" >&2
        exit 1
    fi
    # 1.96.0+dfsg1 has libstd-rust-web-1.96, and names its LLVM itself.
    std=libstd-rust-web-$(cut -d. -f1,2 <<<"$version")
    packages=("rustc-web=$version" "libstd-rust-web-dev=$version" "$std=$version" "rust-web-src=$version")
    llvm=$(apt-cache show "$std=$version" "rustc-web=$version" | grep -o 'libllvm[0-9]*' | sort -u | tail -1)
    (cd "$system/packages" && apt-get download -qq "${packages[@]}" "$llvm")
    for package in "$system"/packages/*.deb; do
        dpkg -x "$package" "$system"
    done
    rm -r "$system/packages"
    # Links that assume an installed package point into the unpacked ones.
    sources=("$system"/usr/src/rustc-*)
    mkdir -p "$system/usr/lib/rustlib/src"
    rm -rf "$system/usr/lib/rustlib/src/rust"
    ln -s "${sources[0]}" "$system/usr/lib/rustlib/src/rust"
    touch "$system/complete"
fi

# Of the ordinary toolchain: Debian's has no linker for wasm.
linker=$(rustc --print sysroot)/lib/rustlib/$(rustc -vV | sed -n 's/^host: //p')/bin/rust-lld
export LD_LIBRARY_PATH=$system/usr/lib/x86_64-linux-gnu${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}
export CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_LINKER=$linker
# Cargo allows a stable compiler to build std only so.
CARGO_TARGET_DIR=$out RUSTC=$system/usr/bin/rustc RUSTC_BOOTSTRAP=1 "${check[@]}" -Zbuild-std=std,panic_abort
