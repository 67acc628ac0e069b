#!/usr/bin/env python3
"""Compiles every .wgsl file of a folder with a browser's WebGPU compiler and prints what it rejects.

Serves one page on localhost; the page makes a shader module and a compute pipeline of each file and posts the outcome.
"""

import argparse
import http.server
import json
import pathlib
import shutil
import subprocess
import sys
import tempfile
import threading

BROWSERS = ["chromium", "chromium-browser", "google-chrome", "google-chrome-stable"]
TOO_LARGE = "total use of workgroup storage"
FLAGS = ["--headless", "--no-sandbox", "--disable-gpu-sandbox", "--enable-unsafe-webgpu"]

PAGE = """<!doctype html><title>shaders</title><script type="module">
const post = (path, value) => fetch(path, { method: "POST", body: JSON.stringify(value) });

async function faults(device, code) {
    const module = device.createShaderModule({ code });
    const { messages } = await module.getCompilationInfo();
    const found = messages.map((m) => `${m.type} at line ${m.lineNum}: ${m.message}`);
    if (!messages.some((m) => m.type === "error")) {
        await device.createComputePipelineAsync({ layout: "auto", compute: { module, entryPoint: "main" } })
            .catch((error) => found.push(error.message));
    }
    return found;
}

try {
    const adapter = await navigator.gpu?.requestAdapter();
    if (!adapter) throw new Error("this browser has no WebGPU adapter");
    const { maxComputeWorkgroupStorageSize } = adapter.limits;
    const requiredFeatures = ["subgroups"].filter((feature) => adapter.features.has(feature));
    const device = await adapter.requestDevice({ requiredFeatures, requiredLimits: { maxComputeWorkgroupStorageSize } });
    const files = await (await fetch("/files")).json();
    for (const [name, code] of files) {
        device.pushErrorScope("validation");
        const found = await faults(device, code);
        const error = await device.popErrorScope();
        if (error && !found.length) found.push(error.message);
        await post("/result", { name, found });
    }
    await post("/done", { workgroupBytes: maxComputeWorkgroupStorageSize });
} catch (error) {
    await post("/done", { error: String(error) });
}
</script>"""


class Run:
    """What the page has reported so far."""

    def __init__(self, files):
        self.files = files
        self.results = []
        self.outcome = None
        self.done = threading.Event()


def handler(run):
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            page = self.path == "/"
            body = PAGE if page else json.dumps(run.files) if self.path == "/files" else ""
            self.answer(body, "text/html" if page else "application/json")

        def do_POST(self):
            value = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            self.answer("", "text/plain")
            if self.path == "/result":
                run.results.append(value)
            else:
                run.outcome = value
                run.done.set()

        def answer(self, body, content_type):
            self.send_response(200)
            self.send_header("Content-Type", content_type + "; charset=utf-8")
            self.end_headers()
            self.wfile.write(body.encode())

        def log_message(self, *_):
            pass

    return Handler


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=pathlib.Path, help="written by `cb-lab devices --dump-shaders FOLDER`")
    parser.add_argument("--browser", help="a Chromium; looked for on the PATH otherwise")
    parser.add_argument("--adapter", default="swiftshader", help="--use-webgpu-adapter of the browser; `default`: its GPU")
    parser.add_argument("--timeout", type=float, default=600, help="seconds")
    options = parser.parse_args()

    files = [(path.name, path.read_text()) for path in sorted(options.folder.glob("*.wgsl"))]
    browser = options.browser or next(filter(None, map(shutil.which, BROWSERS)), None)
    if not files:
        sys.exit(f"no .wgsl file in {options.folder}")
    if not browser:
        sys.exit("no Chromium found; name one with --browser")

    run = Run(files)
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler(run))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        flags = FLAGS + [f"--use-webgpu-adapter={options.adapter}", f"--user-data-dir={profile}"]
        url = f"http://127.0.0.1:{server.server_port}/"
        process = subprocess.Popen(
            [browser, *flags, "--remote-debugging-port=0", url],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        finished = run.done.wait(options.timeout)
        process.terminate()
        process.wait()

    # A variant chosen for a device with more workgroup memory is not at fault.
    too_large = [result for result in run.results if any(TOO_LARGE in fault for fault in result["found"])]
    rejected = [result for result in run.results if result["found"] and result not in too_large]
    for result in rejected:
        print(result["name"])
        for fault in result["found"]:
            print("    " + fault.replace("\n", "\n    "))
    print(
        f"{len(run.results)} of {len(files)} files tried: {len(rejected)} rejected, {len(too_large)} need more workgroup "
        f"memory than this device has; {run.outcome or 'no answer in time'}"
    )
    sys.exit(0 if finished and not rejected and "error" not in run.outcome else 1)


if __name__ == "__main__":
    main()
