#!/usr/bin/env python3
"""LoRA adapters: merged models compute what the adapters' trainers say, in ONNX Runtime and compiled, with not one node more.

usage: lora.py [--bin DIR] [--models DIR]
Adapters of the reference models (where they lie beside the project) against their expected outputs, two at once against weights
merged here; a seeded Stable-Diffusion-shaped UNet and text encoder (diffusion.py) with adapters in the key names of diffusers, kohya
and PEFT, one file for both models. Limit: max|a-b| <= 2e-4 * max(0.01, max|b|). A line a case; last, `N passed, N failed`.
"""
import argparse
import glob
import json
import os
import struct
import subprocess
import sys
import tempfile

import ml_dtypes
import numpy as np
import onnx
import onnxruntime
from onnx import numpy_helper

import diffusion

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


def save(path, tensors, metadata=None):
    header, data = {}, b""
    if metadata:
        header["__metadata__"] = metadata
    for name, array in tensors.items():
        raw = np.ascontiguousarray(array).tobytes()
        header[name] = {"dtype": {"float32": "F32", "float16": "F16", "bfloat16": "BF16"}[str(array.dtype)], "shape": list(array.shape), "data_offsets": [len(data), len(data) + len(raw)]}
        data += raw
    text = json.dumps(header).encode()
    with open(path, "wb") as f:
        f.write(struct.pack("<Q", len(text)) + text + data)


def load(path):
    raw = open(path, "rb").read()
    size = struct.unpack("<Q", raw[:8])[0]
    header = json.loads(raw[8 : 8 + size])
    part = lambda h: np.frombuffer(raw, np.float32, int(np.prod(h["shape"])), 8 + size + h["data_offsets"][0]).reshape(h["shape"])
    return {k: part(h) for k, h in header.items() if k != "__metadata__"}


def session(path):
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.intra_op_num_threads = 1
    return onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])


def error(got, want):
    worst = 0.0
    for g, w in zip(got, want):
        g, w = np.asarray(g, np.float64), np.asarray(w, np.float64)
        worst = max(worst, np.inf if g.shape != w.shape else float(np.abs(g - w).max() / max(0.01, np.abs(w).max())) if w.size else 0.0)
    return worst


class Suite:
    def __init__(self, folder, folder_bin):
        self.folder, self.bin, self.good, self.bad = folder, folder_bin, 0, 0

    def report(self, name, problem, what=""):
        self.good += problem is None
        self.bad += problem is not None
        print(f"{'FAIL' if problem else 'ok  '} {name:54s} {problem or what}", flush=True)

    def tool(self, name, *arguments):
        return subprocess.run([os.path.join(self.bin, name), *arguments], capture_output=True, text=True)

    def nodes(self, model, *flags):
        out = os.path.join(self.folder, "nodes.onnx")
        done = self.tool("burin-opt", model, *flags, "-o", out)
        if done.returncode:
            raise RuntimeError(done.stderr.strip().splitlines()[0])
        return len(onnx.load(out).graph.node)

    def check(self, name, model, adapters, cases, compiled=True):
        """cases: (feed, expected outputs) pairs; adapters: specs."""
        try:
            flags = [f"--lora={a}" for a in adapters]
            out = os.path.join(self.folder, "merged.onnx")
            done = self.tool("burin-opt", model, *flags, "-o", out)
            if done.returncode:
                return self.report(name, done.stderr.strip().splitlines()[0])
            merged, base = session(out), session(model)
            worst = max(error(merged.run(None, feed), want) for feed, want in cases)
            moved = max(error(base.run(None, feed), want) for feed, want in cases)
            if worst > 2e-4:
                return self.report(name, f"error {worst:.2g} in ONNX Runtime")
            if moved < 1e-3:
                return self.report(name, "the adapter changes nothing: the case proves nothing")
            before, after = len(onnx.load(model).graph.node), len(onnx.load(out).graph.node)
            graph = self.nodes(model, "--pipeline=graph"), self.nodes(model, *flags, "--pipeline=graph")
            if after > before or graph[0] != graph[1]:
                return self.report(name, f"{before} nodes became {after}, {graph[0]} optimized ones {graph[1]}")
            if compiled:
                npz, want = os.path.join(self.folder, "in.npz"), os.path.join(self.folder, "out.npz")
                np.savez(npz, **cases[0][0])
                names = [o.name for o in base.get_outputs()]
                np.savez(want, **dict(zip(names, cases[0][1])))
                run = self.tool("burin-run", model, *flags, "--inputs", npz, "--expect", want, "--rtol", "1e-3", "--atol", "1e-4", "--cache-dir", os.path.join(self.folder, "cache"))
                if run.returncode:
                    return self.report(name, "compiled: " + (run.stderr.strip().splitlines() or run.stdout.strip().splitlines())[-1])
            self.report(name, None, f"error {worst:.1e}, adapter moves {moved:.1e}, {graph[1]} nodes")
        except Exception as problem:
            self.report(name, repr(problem))

    def switched(self, name, model, adapters, cases):
        """One program with the adapters as inputs serves each of them, and none. cases: (feed, [outputs by adapter..., outputs of none])."""
        try:
            library = os.path.join(self.folder, "switch.so")
            flags = [f"--lora={a}" for a in adapters] + ["--lora-mode=switch"]
            shapes = [f"--shape={k}={'x'.join(map(str, v.shape))}" for k, v in cases[0][0].items() if v.ndim]
            done = self.tool("burin-compile", model, *flags, *shapes, "-o", library)
            exported = self.tool("burin-compile", model, *flags, "--emit=onnx", "-o", os.path.join(self.folder, "switch.onnx"))
            if done.returncode or exported.returncode:
                return self.report(name, (done.stderr + exported.stderr).strip().splitlines()[0])
            other = session(os.path.join(self.folder, "switch.onnx"))
            stems = [os.path.splitext(os.path.basename(a))[0] for a in adapters] + ["none"]
            worst = 0.0
            for feed, outputs in cases:
                for stem, want in zip(stems, outputs):
                    values = os.path.join(self.folder, f"switch.{stem}.npz")
                    worst = max(worst, error(other.run(None, {**feed, **np.load(values)}), want))
                    np.savez(os.path.join(self.folder, "in.npz"), **feed)
                    out = os.path.join(self.folder, "got.npz")
                    ran = self.tool("burin-run", library, "--inputs", os.path.join(self.folder, "in.npz"), "--inputs", values, "--outputs", out)
                    if ran.returncode:
                        return self.report(name, "compiled: " + ran.stderr.strip().splitlines()[0])
                    got = np.load(out)
                    worst = max(worst, error([got[o.name] for o in other.get_outputs()], want))
            self.report(name, None if worst <= 2e-4 else f"error {worst:.2g}", f"error {worst:.1e}, {len(stems)} ways to run one program")
        except Exception as problem:
            self.report(name, repr(problem)[:300])

    def refused(self, name, model, adapter, text):
        done = self.tool("burin-opt", model, f"--lora={adapter}", "-o", os.path.join(self.folder, "refused.onnx"))
        found = done.returncode == 1 and text in done.stderr
        self.report(name, None if found else f"expected an error with '{text}', got {done.stderr.strip()[:200]!r}")


def factors(random, shape, rank, kernel_in_down=True):
    """Random A [rank, in, kernel...], B [out, rank, 1...], whose product is a noticeable part of the weight."""
    down = random.standard_normal((rank, *shape[1:])).astype(np.float32) / np.sqrt(np.prod(shape[1:]))
    up = random.standard_normal((shape[0], rank, *[1] * (len(shape) - 2))).astype(np.float32) * 0.4 / np.sqrt(rank)
    return down.astype(np.float32), up.astype(np.float32)


def product(down, up):
    return (up.reshape(up.shape[0], -1) @ down.reshape(down.shape[0], -1)).reshape(up.shape[0], *down.shape[1:])


def merged_outputs(net, deltas):
    saved = dict(net.weights)
    for module, delta in deltas.items():
        net.weights[module] = (saved[module] + delta.reshape(saved[module].shape)).astype(np.float32)
    outputs = session(net.model().SerializeToString()).run(None, net.feed)
    net.weights = saved
    return outputs


def add(a, b):
    return {k: a.get(k, 0) + b.get(k, 0) for k in a.keys() | b.keys()}


def diffusion_cases(suite):
    random = np.random.default_rng(5)
    unet, text = diffusion.unet(), diffusion.text_encoder()
    folder = suite.folder
    paths = {}
    for name, net in (("unet", unet), ("text", text)):
        paths[name] = os.path.join(folder, name + ".onnx")
        onnx.save(net.model(), paths[name])

    # diffusers' keys, both models in one file, rank and alpha by layer.
    first, delta_unet, delta_text = {}, {}, {}
    for i, (module, w) in enumerate(unet.weights.items()):
        if ".to_" in module or "proj_in" in module or "ff.net" in module:
            down, up = factors(random, w.shape, 2 + i % 3)
            first[f"unet.{module}.lora_A.weight"], first[f"unet.{module}.lora_B.weight"] = down, up
            delta_unet[module] = product(down, up)
    for module, w in text.weights.items():
        if "self_attn" in module:
            down, up = factors(random, w.shape, 4)
            first[f"text_encoder.{module}.lora_linear_layer.down.weight"], first[f"text_encoder.{module}.lora_linear_layer.up.weight"] = down, up
            delta_text[module] = product(down, up)
    a = os.path.join(folder, "diffusers.safetensors")
    save(a, first)
    suite.check("unet, diffusers keys beside the text encoder's", paths["unet"], [a], [(unet.feed, merged_outputs(unet, delta_unet))])
    suite.check("text encoder, the same file", paths["text"], [a], [(text.feed, merged_outputs(text, delta_text))])
    done = suite.tool("burin-opt", paths["text"], f"--lora={a}", "-o", os.path.join(folder, "x.onnx"))
    suite.report("siblings are named", None if f"skipped {2 * len(delta_unet)} keys of unet" in done.stderr else done.stderr.strip()[:160])

    # The second adapter: the oldest diffusers form, f16.
    second, delta_second = {}, {}
    for module, w in unet.weights.items():
        if "attn2.to_" in module:
            down, up = (x.astype(np.float16) for x in factors(random, w.shape, 3))
            block, layer = module.split(".to_")
            key = f"unet.{block}.processor.to_{layer.replace('.0', '')}_lora"
            second[key + ".down.weight"], second[key + ".up.weight"] = down, up
            delta_second[module] = product(down.astype(np.float32), up.astype(np.float32))
    b = os.path.join(folder, "old.safetensors")
    save(b, second)
    half = {k: 0.5 * d for k, d in delta_second.items()}
    suite.check("unet, two adapters at once, one at half scale", paths["unet"], [a, b + ":0.5"], [(unet.feed, merged_outputs(unet, add(delta_unet, half)))])

    linear = {k: v for k, v in first.items() if v.ndim == 2 and k.startswith("unet.")}
    save(os.path.join(folder, "linear.safetensors"), linear)
    delta_linear = {k: d for k, d in delta_unet.items() if d.ndim == 2}
    ways = [merged_outputs(unet, delta_linear), merged_outputs(unet, delta_second), merged_outputs(unet, {})]
    suite.switched("unet, one program for two adapters and none", paths["unet"], [os.path.join(folder, "linear.safetensors"), b], [(unet.feed, ways)])
    ways = [merged_outputs(unet, delta_unet), merged_outputs(unet, {})]
    suite.switched("unet, convolutions switched too", paths["unet"], [a], [(unet.feed, ways)])

    # kohya: '_' for '.', alpha a layer, LoCon on convolutions, Tucker cores.
    third, delta_third = {}, {}
    for i, (module, w) in enumerate(unet.weights.items()):
        key = "lora_unet_" + module.replace(".", "_")
        if w.ndim == 2 and "attn1" not in module and "time" not in module:
            continue
        rank, alpha = 2 + i % 2, 1.0 + i % 3
        if w.ndim == 4 and w.shape[2] == 3 and i % 2:
            down, up = factors(random, (w.shape[0], w.shape[1], 1, 1), rank)
            mid = random.standard_normal((rank, rank, 3, 3)).astype(np.float32) * 0.3
            third[key + ".lora_mid.weight"] = mid
            delta = np.einsum("op,pqkl,qi->oikl", up[:, :, 0, 0], mid, down[:, :, 0, 0])
        else:
            down, up = factors(random, w.shape, rank)
            delta = product(down, up)
        third[key + ".lora_down.weight"], third[key + ".lora_up.weight"] = down, up
        third[key + ".alpha"] = np.array(alpha, np.float32)
        delta_third[module] = delta * (alpha / rank)
    c = os.path.join(folder, "kohya.safetensors")
    save(c, third)
    suite.check("unet, kohya keys, LoCon and Tucker", paths["unet"], [c], [(unet.feed, merged_outputs(unet, delta_third))])

    # kohya's files for models in the original numbering of blocks, three a level.
    numbered = {"down_blocks.0.attentions.0": "input_blocks_1_1", "down_blocks.1.attentions.0": "input_blocks_4_1", "mid_block.attentions.0": "middle_block_1", "up_blocks.0.attentions.0": "output_blocks_0_1",
                "down_blocks.0.resnets.0.conv1": "input_blocks_1_0_in_layers_2", "up_blocks.0.resnets.1.time_emb_proj": "output_blocks_1_0_emb_layers_1", "mid_block.resnets.1.conv2": "middle_block_2_out_layers_3",
                "down_blocks.0.downsamplers.0.conv": "input_blocks_3_0_op", "time_embedding.linear_2": "time_embed_2", "conv_out": "out_2"}
    fifth, delta_fifth = {}, {}
    for module, w in unet.weights.items():
        block = next((b for b in numbered if module == b or module.startswith(b + ".")), None)
        if block:
            key = "lora_unet_" + numbered[block] + module[len(block):].replace(".", "_")
            fifth[key + ".lora_down.weight"], fifth[key + ".lora_up.weight"] = factors(random, w.shape, 2)
            delta_fifth[module] = product(fifth[key + ".lora_down.weight"], fifth[key + ".lora_up.weight"])
    e = os.path.join(folder, "numbered.safetensors")
    save(e, fifth)
    suite.check("unet, kohya keys in the original block numbers", paths["unet"], [e], [(unet.feed, merged_outputs(unet, delta_fifth))])

    # PEFT with an embedding, alpha_pattern and rank-stabilized scaling.
    fourth, delta_fourth = {}, {}
    for module, w in text.weights.items():
        rank = 8 if "fc1" in module else 4
        scale = (3.0 if "fc1" in module else 16.0) / np.sqrt(rank)
        if "token_embedding" in module:
            down, up = factors(random, w.T.shape, rank)
            fourth[f"base_model.model.{module}.lora_embedding_A"], fourth[f"base_model.model.{module}.lora_embedding_B"] = down, up
            delta_fourth[module] = product(down, up).T * scale
        elif "mlp" in module:
            down, up = factors(random, w.shape, rank)
            fourth[f"base_model.model.{module}.lora_A.weight"], fourth[f"base_model.model.{module}.lora_B.weight"] = down * 0.2, up
            delta_fourth[module] = product(down * 0.2, up) * scale
    d = os.path.join(folder, "peft.safetensors")
    save(d, {k: v.astype(np.float32) for k, v in fourth.items()}, {"format": "pt"})
    with open(os.path.join(folder, "peft.adapter_config.json"), "w") as f:
        json.dump({"peft_type": "LORA", "r": 4, "lora_alpha": 16, "use_rslora": True, "alpha_pattern": {"mlp.fc1": 3}, "rank_pattern": {"mlp.fc1": 8}}, f)
    suite.check("text encoder, PEFT: embedding, patterns, rslora", paths["text"], [d], [(text.feed, merged_outputs(text, delta_fourth))])

    # As PEFT keeps it in training: the adapter's own name in each key; bf16.
    sixth, delta_sixth = {}, {}
    for module, w in text.weights.items():
        if "self_attn" in module:
            down, up = (x.astype(ml_dtypes.bfloat16) for x in factors(random, w.shape, 2))
            sixth[f"base_model.model.{module}.lora_A.style.weight"], sixth[f"base_model.model.{module}.lora_B.style.weight"] = down, up
            delta_sixth[module] = product(down.astype(np.float32), up.astype(np.float32))
    f = os.path.join(folder, "named.safetensors")
    save(f, sixth)
    suite.check("text encoder, PEFT: the adapter's name in the keys, bf16", paths["text"], [f], [(text.feed, merged_outputs(text, delta_sixth))])
    both = {k.replace(".style.", ".other."): v for k, v in sixth.items()} | sixth
    save(os.path.join(folder, "both.safetensors"), both)
    suite.refused("two adapters in one file", paths["text"], os.path.join(folder, "both.safetensors"), "expected one adapter in a file")

    homeless = dict(first)
    homeless["unet.down_blocks.7.attn.to_q.lora_A.weight"], homeless["unet.down_blocks.7.attn.to_q.lora_B.weight"] = np.ones((1, 16), np.float32), np.ones((16, 1), np.float32)
    save(os.path.join(folder, "homeless.safetensors"), homeless)
    suite.refused("a key without a home", paths["unet"], os.path.join(folder, "homeless.safetensors"), "down_blocks.7.attn.to_q.lora_A.weight': no weight")
    misfit = dict(second)
    key = next(k for k in misfit if k.endswith("down.weight"))
    misfit[key] = np.ones((3, 5), np.float16)
    save(os.path.join(folder, "misfit.safetensors"), misfit)
    suite.refused("factors of another size", paths["unet"], os.path.join(folder, "misfit.safetensors"), "got 16 of 5")
    loha = {"lora_unet_conv_in.hada_w1_a": np.ones((2, 2), np.float32)}
    save(os.path.join(folder, "loha.safetensors"), loha)
    suite.refused("another method", paths["unet"], os.path.join(folder, "loha.safetensors"), "got one of LoHa")
    with open(os.path.join(folder, "short.safetensors"), "wb") as f:
        f.write(open(a, "rb").read()[:-4])
    suite.refused("a file cut short", paths["unet"], os.path.join(folder, "short.safetensors"), "expected data_offsets within")
    suite.refused("no such file", paths["unet"], os.path.join(folder, "none.safetensors"), "cannot read the adapter: no such file")


def merge_llama(path, adapters):
    """Both adapters merged here: node /model/layers.N/.../X_proj/MatMul holds the transposed weight."""
    model = onnx.load(path)
    weights = {i.name: i for i in model.graph.initializer}
    for node in model.graph.node:
        module = node.name.strip("/").replace("/", ".")[: -len(".MatMul")]
        for tensors, scale in adapters:
            down = tensors.get(f"base_model.model.{module}.lora_A.weight")
            if node.op_type == "MatMul" and down is not None:
                up, held = tensors[f"base_model.model.{module}.lora_B.weight"], weights[node.input[1]]
                held.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(held) + (scale * (up @ down)).T.astype(np.float32), held.name))
    return session(model.SerializeToString())


def reference_cases(suite, models):
    for path in sorted(glob.glob(os.path.join(models, "*.safetensors"))):
        base = os.path.basename(path)[: -len(".safetensors")]
        model = os.path.join(models, base.split(".")[0] + ".onnx")
        cases = []
        for want in sorted(glob.glob(os.path.join(models, base + ".expected*.npz"))):
            feed = np.load(model[:-5] + ".inputs" + want.rsplit(".expected", 1)[1])
            cases.append((dict(feed), list(np.load(want).values())))
        suite.check(base, model, [path], cases)
    llama = os.path.join(models, "llama_stories260k")
    pair = [f"{llama}.lora_r4_all.safetensors", f"{llama}.lora_r8_robot.safetensors"]
    if not os.path.exists(pair[0]):
        return
    reference = merge_llama(llama + ".onnx", [(load(pair[0]), 2.0), (load(pair[1]), 2.0 * 0.5)])
    cases = [(dict(f), reference.run(None, dict(f))) for f in (np.load(p) for p in sorted(glob.glob(llama + ".inputs*.npz")))]
    suite.check("llama_stories260k, two at once", llama + ".onnx", [pair[0], pair[1] + ":0.5"], cases)
    want = lambda name, k: list(np.load(f"{llama}{name}.expected{k}.npz").values())
    suite.switched("llama_stories260k, one program for two and none", llama + ".onnx", pair, [(dict(np.load(llama + ".inputs2.npz")), [want(".lora_r4_all", 2), want(".lora_r8_robot", 2), want("", 2)])])
    done = suite.tool("burin-opt", f"{llama}_int8_dynamic.onnx", f"--lora={pair[0]}", "-o", os.path.join(suite.folder, "x.onnx"))
    suite.report("a quantized base is refused", None if done.returncode == 1 and "error: " in done.stderr else done.stderr[:160], done.stderr.strip().splitlines()[0][:90])


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bin", default=os.path.join(os.environ.get("BURIN_BUILD", os.path.join(ROOT, "build")), "bin"))
    parser.add_argument("--models", default=os.environ.get("BURIN_MODELS", os.path.join(os.path.dirname(ROOT), "shared", "models")))
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        suite = Suite(folder, arguments.bin)
        diffusion_cases(suite)
        if os.path.isdir(arguments.models):
            reference_cases(suite, arguments.models)
    print(f"{suite.good} passed, {suite.bad} failed")
    return suite.bad != 0


if __name__ == "__main__":
    sys.exit(main())
