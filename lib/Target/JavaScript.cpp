// See JavaScript.h. The glue is one text for all models; what it knows of this one is data at its top.
#include "lib/Target/JavaScript.h"
#include "burin/runtime.h"
#include "llvm/Support/JSON.h"

using namespace llvm;
using namespace burin;

static StringRef arrayOf(int32_t dtype) {
  switch (dtype) {
  case BURIN_FLOAT:
    return "Float32Array";
  case BURIN_DOUBLE:
    return "Float64Array";
  case BURIN_INT8:
    return "Int8Array";
  case BURIN_INT16:
    return "Int16Array";
  case BURIN_UINT16:
  case BURIN_FLOAT16: // the bits
  case BURIN_BFLOAT16:
    return "Uint16Array";
  case BURIN_INT32:
    return "Int32Array";
  case BURIN_UINT32:
    return "Uint32Array";
  case BURIN_INT64:
    return "BigInt64Array";
  case BURIN_UINT64:
    return "BigUint64Array";
  default:
    return "Uint8Array";
  }
}

static json::Value quoted(StringRef text) { return json::Value(json::fixUTF8(text)); }

static void writeTensors(StringRef name, ArrayRef<TensorDescription> tensors, raw_ostream &out) {
  out << "export const " << name << " = [\n";
  for (const TensorDescription &t : tensors) {
    out << "  { name: " << quoted(t.name) << ", array: " << arrayOf(t.dtype) << ", dims: [";
    interleaveComma(t.dims, out);
    out << "] },\n";
  }
  out << "];\n";
}

void burin::writeJavaScript(const ModelDescription &model, StringRef wasm, StringRef version, raw_ostream &out) {
  out << "// " << model.name << ": a neural network, made by Burin " << version
      << ".\n//\n//   import { load } from \"./" << wasm.drop_back(5)
      << ".js\";\n//   const model = await load();\n//   const outputs = model.run({ "
      << (model.inputs.empty() ? "" : quoted(model.inputs.front().name)) << ": data });   // by name, typed arrays\n\n";
  writeTensors("inputs", model.inputs, out);
  writeTensors("outputs", model.outputs, out);
  out << "const arenaBytes = " << model.lentBytes() << ";\nconst file = " << quoted(wasm)
      << ";\nconst entry = " << quoted(model.runSymbol())
      << ";\nconst unlock = " << (model.unlockedBytes() ? quoted(model.unlockSymbol()) : json::Value(nullptr))
      << ";\nconst sharedBytes = " << (model.sharesMemory ? model.sharedBytes() : 0) << ";\n";
  out << R"(
const count = (tensor) => tensor.dims.reduce((a, b) => a * b, 1);

async function compile(source) {
  if (source instanceof WebAssembly.Module) return source;
  if (source instanceof ArrayBuffer || ArrayBuffer.isView(source)) return WebAssembly.compile(source);
  const url = new URL(source ?? file, import.meta.url);
  if (url.protocol === "file:") {
    const { readFile } = await import("node:fs/promises");
    return WebAssembly.compile(await readFile(url));
  }
  const response = await fetch(url);
  if (!response.ok) throw new Error(`${url}: ${response.status} ${response.statusText}`);
  return WebAssembly.compile(await response.arrayBuffer());
}

// Runs in a worker: shares module and memory, has a stack of its own.
const workerText = `
  const start = ({ module, memory, stack }, ready) => {
    const { exports } = new WebAssembly.Instance(module, { env: { memory } });
    exports.__stack_pointer.value = stack;
    exports.burin_wasm_join();
    ready();
    exports.burin_wasm_work();
  };
  if (typeof self === "undefined") {
    const { parentPort } = require("node:worker_threads");
    parentPort.once("message", (data) => start(data, () => parentPort.postMessage(0)));
  } else onmessage = (e) => start(e.data, () => postMessage(0));`;

/** A worker that has joined; what ends it. */
async function startWorker(data) {
  if (typeof Worker === "undefined") {
    const { Worker: Thread } = await import("node:worker_threads");
    const thread = new Thread(workerText, { eval: true });
    thread.unref();
    const ready = new Promise((good, bad) => thread.once("message", good).once("error", bad));
    thread.postMessage(data);
    await ready;
    return () => thread.terminate();
  }
  const url = URL.createObjectURL(new Blob([workerText], { type: "text/javascript" })), worker = new Worker(url);
  const ready = new Promise((good, bad) => { worker.onmessage = good; worker.onerror = bad; });
  worker.postMessage(data);
  await ready;
  URL.revokeObjectURL(url);
  return () => worker.terminate();
}

/** Loads the network: from the file beside this one, another URL, its bytes or a compiled module. Where its weights are
 *  encrypted, `key` (32 bytes) opens them. `threads`: of a module made for wasm32+threads, how many compute, this one
 *  counted; the page must be isolated (COOP and COEP headers). */
export async function load(source, { key, threads = 1 } = {}) {
  if (threads > 1 && !sharedBytes) throw new Error("this module has one thread: compile it with --target=wasm32+threads");
  const module = await compile(source), pages = sharedBytes / 65536;
  const shared = sharedBytes ? new WebAssembly.Memory({ initial: pages, maximum: pages, shared: true }) : null;
  const { exports } = await WebAssembly.instantiate(module, shared ? { env: { memory: shared } } : {});
  const memory = shared ?? exports.memory;
  let end = Number(exports.__heap_base.value);
  const place = (bytes) => {
    const at = Math.ceil(end / 64) * 64;
    end = at + bytes;
    return at;
  };
  const put = (tensor) => ({ ...tensor, count: count(tensor), at: place(count(tensor) * tensor.array.BYTES_PER_ELEMENT) });
  const ins = inputs.map(put), outs = outputs.map(put), arena = place(arenaBytes), keyAt = place(unlock ? 32 : 0);
  const stacks = Array.from({ length: threads - 1 }, () => place(65536) + 65536);
  const missing = Math.ceil((end - memory.buffer.byteLength) / 65536);
  if (missing > 0 && shared) throw new RangeError(`no room for ${threads} threads`);
  if (missing > 0) memory.grow(missing);
  // The memory never grows again, so these stay what they are.
  for (const t of [...ins, ...outs]) t.view = new t.array(memory.buffer, t.at, t.count);
  const places = [...ins, ...outs].map((t) => t.at);
  if (unlock) {
    if (!(key instanceof Uint8Array) || key.length !== 32)
      throw new TypeError("the weights are encrypted: expected { key }, a Uint8Array of 32 bytes");
    const room = new Uint8Array(memory.buffer, keyAt, 32);
    room.set(key);
    const status = exports[unlock](keyAt, arena);
    room.fill(0);
    if (status !== 0) throw new Error("the weights do not open: the key is not theirs, or they were changed");
  }

  const ends = await Promise.all(stacks.map((stack) => startWorker({ module, memory, stack })));

  return {
    /** Ends the threads; no run may follow. */
    close() {
      ends.forEach((end) => end());
    },

    /** The memory that a run reads and writes, by name: filled and read in place, nothing is copied. */
    views: Object.fromEntries([...ins, ...outs].map((t) => [t.name, t.view])),

    /** Runs on what the views hold. */
    runInPlace() {
      const status = exports[entry](...places, arena);
      if (status !== 0) throw new Error(`the network failed with status ${status}`);
    },

    /** Runs on typed arrays by name and returns new ones. */
    run(feeds) {
      for (const t of ins) {
        const data = feeds[t.name];
        if (!(data instanceof t.array) || data.length !== t.count)
          throw new TypeError(`input '${t.name}': expected ${t.array.name} of ${t.count} elements (${t.dims.join("x")}), ` +
                              `got ${data?.constructor?.name ?? data}${data?.length === undefined ? "" : ` of ${data.length}`}`);
        t.view.set(data);
      }
      this.runInPlace();
      return Object.fromEntries(outs.map((t) => [t.name, t.view.slice()]));
    },
  };
}
)";
}

void burin::writeTypeScript(const ModelDescription &model, raw_ostream &out) {
  auto fields = [&](ArrayRef<TensorDescription> tensors) {
    for (const TensorDescription &t : tensors) {
      out << "  /** ";
      interleave(t.dims, out, " x ");
      out << " */\n  " << quoted(t.name) << ": " << arrayOf(t.dtype) << ";\n";
    }
  };
  out << "export interface Inputs {\n";
  fields(model.inputs);
  out << "}\n\nexport interface Outputs {\n";
  fields(model.outputs);
  out << R"(}

export interface Tensor {
  name: string;
  array: Function;
  dims: number[];
}

export interface Model {
  /** The memory that a run reads and writes, by name. */
  views: Inputs & Outputs;
  /** Runs on what the views hold. */
  runInPlace(): void;
  /** Ends the threads; no run may follow. */
  close(): void;
  run(feeds: Inputs): Outputs;
}

export const inputs: Tensor[];
export const outputs: Tensor[];
export function load(source?: string | URL | ArrayBuffer | ArrayBufferView | WebAssembly.Module, options?: { key?: Uint8Array; threads?: number }): Promise<Model>;
)";
}

void burin::writeDemoPage(const ModelDescription &model, StringRef script, raw_ostream &out) {
  out << "<!doctype html>\n<meta charset=\"utf-8\">\n<title>" << model.name << R"(</title>
<style>body { font: 15px sans-serif; margin: 2em } pre { white-space: pre-wrap }</style>
<p><input type="file" accept="image/*" id="file"> <button id="camera">camera</button> <span id="time"></span></p>
<canvas id="canvas"></canvas>
<pre id="text"></pre>
<script type="module">
import { load, inputs, outputs } from "./)"
      << script << R"(";
// Serve this folder over HTTP (python3 -m http.server): browsers load no modules from files.
const mean = 0, scale = 255; // what the network expects of a byte: (x - mean) / scale

const image = inputs.find((t) => t.dims.length === 4 && (t.dims[1] <= 4 || t.dims[3] <= 4));
const isFirst = image && image.dims[1] <= 4; // channels before rows
const [channels, height, width] = !image ? [0, 0, 0] : isFirst ? image.dims.slice(1) : [image.dims[3], image.dims[1], image.dims[2]];
const $ = (id) => document.getElementById(id);
const canvas = $("canvas"), context = canvas.getContext("2d", { willReadFrequently: true });
canvas.width = width || 1;
canvas.height = height || 1;
)"
      << (model.sharesMemory
              ? "// Of pages served with COOP and COEP headers.\nconst model = await load(undefined, { threads: "
                "Math.min(8, navigator.hardwareConcurrency) });\n"
              : "const model = await load();\n")
      << R"(
function show(source) {
  if (source && image) {
    context.drawImage(source, 0, 0, width, height);
    const pixels = context.getImageData(0, 0, width, height).data, view = model.views[image.name];
    for (let i = 0; i < width * height; ++i)
      for (let c = 0; c < channels; ++c)
        view[isFirst ? c * width * height + i : i * channels + c] = (pixels[4 * i + c] - mean) / scale;
  }
  const start = performance.now();
  model.runInPlace();
  $("time").textContent = `${(performance.now() - start).toFixed(1)} ms`;
  $("text").textContent = outputs.map((t) => {
    const view = model.views[t.name], top = [...view.keys()].sort((a, b) => Number(view[b] - view[a])).slice(0, 5);
    return `${t.name} [${t.dims}]: ` + top.map((i) => `${i}: ${Number(view[i]).toFixed(4)}`).join("  ");
  }).join("\n");
}

show(null);
$("file").onchange = async (e) => show(await createImageBitmap(e.target.files[0]));
$("camera").onclick = async () => {
  const video = document.createElement("video");
  video.srcObject = await navigator.mediaDevices.getUserMedia({ video: true });
  await video.play();
  const frame = () => (show(video), requestAnimationFrame(frame));
  frame();
};
</script>
)";
}
