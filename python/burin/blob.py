"""Blobs for the vision unit, made offline, under the argument names that blobconverter's users know.

    path = burin.blob.from_onnx("net.onnx", data_type="FP16", shaves=6, output_dir="blobs",
                                compile_params=["-ip U8"], optimizer_params=["--mean_values=[127.5]", "--scale_values=[127.5]"])

The container is Burin's own and runs in `burin-run`: no Myriad hardware executes it.
"""
import hashlib
import os
import shlex

from ._burin import Error
from ._session import compile as _compile

# What users write and Burin does anyway, or what has no meaning offline.
_IGNORED = {"--data_type", "--compress_to_fp16", "--model_name", "--progress", "--stream_output", "--silent", "--log_level", "--framework", "--static_shape",
            "--use_new_frontend", "--use_legacy_frontend", "--legacy_ir_generation", "--disable_fusing", "--disable_resnet_optimization",
            "--disable_nhwc_to_nchw", "--disable_weights_compression", "--output_dir", "--input_model", "-m", "-o", "-d", "-c"}


def _numbers(text):
    """`[1,2,3]`, `1,2,3`, or `name[1,2,3]` of one input."""
    text = text.strip()
    inside = text[text.index("[") + 1:text.rindex("]")] if "[" in text and "]" in text else text
    try:
        return [float(v) for v in inside.replace(" ", "").split(",")]
    except ValueError:
        raise Error(f"expected numbers such as [123.7,116.3,103.5], got '{text}'") from None


def _pieces(text):
    """`a[1,3],b` at the commas outside brackets."""
    pieces, depth = [""], 0
    for c in text:
        depth += (c in "[(") - (c in "])")
        if c == "," and depth == 0:
            pieces.append("")
        else:
            pieces[-1] += c
    return [p.strip() for p in pieces if p.strip()]


def _tensors(graph, names, what):
    """Tensors of the model by their own names or by those of the nodes that make them, with or without a port (`name:0`)."""
    known = {i.name for i in graph.input} | {o for n in graph.node for o in n.output if o}
    nodes = {n.name: n.output for n in graph.node if n.name}
    found = []
    for name in names:
        plain = name[:-2] if name.endswith(":0") else name[2:] if name.startswith("0:") else name
        port = next((p for p in (name, plain) if p in known or p in nodes), None)
        if port is None:
            raise Error(f"optimizer_params: {what}: the model has no tensor or node '{name}'")
        found += [port] if port in known else [o for o in nodes[port] if o]
    return found


def _words(parameters):
    """Flags and values, whether they came as `-ip U8`, `-ip`, `U8` or `--flag=value`."""
    text = parameters if isinstance(parameters, str) else " ".join(str(p) for p in parameters or [])
    words = []
    for word in shlex.split(text):
        flag, equals, value = word.partition("=")
        words += [flag, value] if equals and flag.startswith("-") else [word]
    return words


def _parse(parameters, what, flags):
    words = _words(parameters)
    while words:
        flag = words.pop(0)
        if flag in flags:
            takes, use = flags[flag]
            if not takes and words and words[0].lower() in ("true", "1"):  # --flag=True
                words.pop(0)
            if takes and not words:
                raise Error(f"{what}: {flag} needs a value")
            use(words.pop(0)) if takes else use()
        elif flag in _IGNORED:
            if words and not words[0].startswith("-"):
                words.pop(0)
        else:
            raise Error(f"{what}: unknown '{flag}', expected one of {', '.join(sorted(flags))}")


def _whole(what, text):
    if not text.isdigit():
        raise Error(f"{what}: expected a number, got '{text}'")
    return int(text)


def _options(data_type, compile_params, optimizer_params):
    if (data_type or "FP16").upper() != "FP16":
        raise Error(f"data_type: expected FP16, got '{data_type}': the unit's engine and shaves compute in half precision only")
    options = {"input_type": "u8"}

    def precision(text):
        kinds = {"U8": "u8", "FP16": "f16", "FP32": "f32"}
        if text.upper() not in kinds:
            raise Error(f"compile_params: -ip: expected U8, FP16 or FP32, got '{text}'")
        options["input_type"] = kinds[text.upper()]

    def output(text):
        if text.upper() not in ("FP16", "FP32"):
            raise Error(f"compile_params: -op: expected FP16 or FP32, got '{text}'")

    def unit(key):
        def use(text):
            options[key] = _whole("compile_params", text)
        return True, use

    _parse(compile_params, "compile_params", {
        "-ip": (True, precision), "--ip": (True, precision), "-op": (True, output), "-iop": (True, lambda text: precision(text.rpartition(":")[2])),
        "-VPU_NUMBER_OF_SHAVES": unit("shaves"), "-VPU_NUMBER_OF_CMX_SLICES": unit("cmx")})

    def mean(text):
        options["mean"] = ",".join(map(str, _numbers(text)))

    def scale(text):
        options["scale"] = ",".join(map(str, _numbers(text)))

    def reverse():
        options["reverse_channels"] = True

    def shape(text):
        options["_dims"] = [[int(v) for v in _numbers(piece)] for piece in (_pieces(text) if "[" in text else [text])]

    def inputs(text):
        options["_inputs"] = [piece.partition("[")[0] for piece in _pieces(text)]
        if any("[" in piece for piece in _pieces(text)):
            options["_dims"] = [[int(v) for v in _numbers(piece)] for piece in _pieces(text)]

    def outputs(text):
        options["_outputs"] = _pieces(text)

    def batch(text):
        options["batch"] = _whole("--batch", text)

    def layout(text):
        kinds = {"nhwc": "NHWC", "nchw": "NCHW"}
        found = [v for k, v in kinds.items() if k in text.lower().rpartition("->")[2]]
        if not found:
            raise Error(f"optimizer_params: --layout: expected nhwc or nchw, got '{text}'")
        options["layout"] = found[0]

    _parse(optimizer_params, "optimizer_params", {
        "--mean_values": (True, mean), "--scale_values": (True, scale), "--scale": (True, scale), "-s": (True, scale),
        "--reverse_input_channels": (False, reverse), "--input_shape": (True, shape), "--layout": (True, layout),
        "--input": (True, inputs), "--output": (True, outputs), "--batch": (True, batch), "-b": (True, batch)})
    return options


def _of_model(path, settings, options):
    """Shapes and names that are of one model: `shape` and `extract` of burin.compile."""
    dims, inputs, outputs = (settings.pop(k, None) for k in ("_dims", "_inputs", "_outputs"))
    if not (dims or inputs or outputs):
        return
    import onnx
    graph = onnx.load(path, load_external_data=False).graph
    weights = {i.name for i in graph.initializer}
    own = [i.name for i in graph.input if i.name not in weights]
    begin = _tensors(graph, inputs, "--input") if inputs else own
    if dims and len(dims) > len(begin):
        raise Error(f"optimizer_params: --input_shape: {len(dims)} shapes for {len(begin)} inputs")
    if dims:
        options.setdefault("shape", {name: tuple(d) for name, d in zip(begin, dims)})
    if outputs or begin != own:
        end = _tensors(graph, outputs, "--output") if outputs else [o.name for o in graph.output]
        options.setdefault("extract", ",".join(begin) + ("->" if any(":" in n for n in begin + end) else ":") + ",".join(end))


def from_onnx(model, data_type="FP16", shaves=None, output_dir=None, use_cache=True, compile_params=None, optimizer_params=None, version=None, **options):
    """Compiles an ONNX file to a blob and returns its path. Means, scales and channel order are folded into the first convolution where that is exact.

    shaves: 6 where none are given. version: of OpenVINO; nothing here depends on it. use_cache: a blob of the same model and options in output_dir (default: the working directory) is returned as it is. Further options are
    burin.compile's: shape={...}, dim={...}.
    """
    settings = _options(data_type, compile_params, optimizer_params)
    shaves, cmx = settings.pop("shaves", shaves or 6), settings.pop("cmx", None)
    if not os.path.exists(model):
        raise Error(f"{os.fspath(model)}: no such file")
    _of_model(os.fspath(model), settings, options)
    threads = 2 if shaves <= 8 else 1
    settings["target"] = f"myriad:shaves={shaves},threads={threads}" + (f",cmx={cmx}" if cmx else "")
    settings.update(options)
    folder = os.fspath(output_dir or ".")
    os.makedirs(folder, exist_ok=True)
    with open(model, "rb") as f:
        key = hashlib.sha256(f.read() + repr(sorted(settings.items(), key=str)).encode()).hexdigest()[:12]
    path = os.path.join(folder, f"{os.path.splitext(os.path.basename(os.fspath(model)))[0]}_{shaves}shave_{key}.blob")
    if not (use_cache and os.path.exists(path)):
        _compile(os.fspath(model), path, emit="blob", **settings)
    return path
